// What llama.cpp makes of texts or ids: reads a JSON list on standard input and prints, for each, the ids and the logarithm
// of the probability of each next token (`logits`), or the vector of the text (`vectors`).
//
//     node llama_cpp.mjs FILE.gguf logits|vectors < TEXTS.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , path, what] = process.argv;
// The package stands outside this tree, where NODE_MODULES says.
const require = createRequire(pathToFileURL(`${process.env.NODE_MODULES}/`));
const { getLlama } = await import(pathToFileURL(require.resolve("node-llama-cpp")));

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: 1 });
const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
const texts = JSON.parse(readFileSync(0, "utf8"));
const idsOf = (text) => (Array.isArray(text) ? text : Array.from(model.tokenize(text)));
const found = [];
if (what === "vectors") {
  const context = await model.createEmbeddingContext({ contextSize: 128 });
  for (const text of texts) {
    const { vector } = await context.getEmbeddingFor(text);
    found.push({ ids: idsOf(text), vector: Array.from(vector) });
  }
} else {
  const f32 = { experimentalKvCacheKeyType: "F32", experimentalKvCacheValueType: "F32" };
  const context = await model.createContext({ contextSize: 128, flashAttention: false, ...f32 });
  const sequence = context.getSequence();
  const all = { temperature: 1, topK: 0, topP: 1, minP: 0 };
  for (const text of texts) {
    await sequence.clearHistory();
    const ids = idsOf(text);
    const last = ids.length - 1;
    const results = await sequence.controlledEvaluate(
      ids.map((id, i) => (i === last ? [id, { generateNext: { probabilities: true, options: all } }] : id)),
    );
    const probabilities = Array.from(results[last].next.probabilities.entries());
    found.push({ ids, logits: probabilities.map(([id, p]) => [id, Math.log(p)]) });
  }
}
console.log(JSON.stringify(found));
process.exit(0);
