// The speed of llama.cpp, as JSON: tokens of a prompt read at once, and tokens that continue it one by one.
//
//     node llama_cpp.mjs FILE.gguf THREADS PROMPT_TOKENS TOKENS
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [, , path, ...numbers] = process.argv;
const [threads, promptTokens, tokens] = numbers.map(Number);
// The package stands outside this tree, where NODE_MODULES says.
const require = createRequire(pathToFileURL(`${process.env.NODE_MODULES}/`));
const { getLlama } = await import(pathToFileURL(require.resolve("node-llama-cpp")));

const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: threads });
const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: promptTokens + tokens + 64,
  batchSize: promptTokens,
  threads,
  flashAttention: false,
  // As ours, so that the same is computed.
  experimentalKvCacheKeyType: "F32",
  experimentalKvCacheValueType: "F32",
});
const sequence = context.getSequence();
const prompt = Array.from({ length: promptTokens }, (_, i) => ((i * 7919) % 30000) + 100);
const seconds = async (work) => {
  const begin = performance.now();
  await work();
  return (performance.now() - begin) / 1000;
};
const median = (values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)];
const reading = [];
const decoding = [];
for (let round = 0; round < 3; ++round) {
  await sequence.clearHistory();
  reading.push(await seconds(() => sequence.evaluateWithoutGeneratingNewTokens(prompt)));
  let made = 0;
  const decode = async () => {
    for await (const _ of sequence.evaluate([100], { temperature: 0 })) if (++made === tokens) break;
  };
  const took = await seconds(decode);
  decoding.push(took / made); // it may end the text itself
}
console.log(JSON.stringify({ prompt: promptTokens / median(reading), decode: 1 / median(decoding) }));
process.exit(0);
