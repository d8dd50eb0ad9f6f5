// Runs the families; see README.md.
import { parseArgs } from 'node:util';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Alphabet, Generator, Random, kinds, unassigned } from './generator.mjs';
import { runProgram } from './oracles.mjs';
import { Vocabularies } from './vocabularies.mjs';
import { assigned, size, version } from './unicode.mjs';
import { families } from './families.mjs';
import { hostile as ours } from './hostile.mjs';
import { published, publishedTexts } from './published.mjs';
import { shrink } from './shrink.mjs';
import { skewed } from './skew.mjs';

const usage = `usage: sh tests/tokenizer/originals/run.sh GRADUS [OPTIONS]
  --count N       generated strings a family (COUNT; default 1000000)
  --seed S        of the strings (SEED; default 1)
  --families A,B  only these; a name ending in * stands for all that begin so (FAMILIES)
  --batch N       strings a call of the program (default 20000)
  --oracles       run the oracles alone, without GRADUS
  --list          say which families there are
The oracles are kept in TOKENIZER_ORACLES (default ~/.cache/gradus-test-tokenizers).`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cache: { type: 'string' }, count: { type: 'string', default: process.env.COUNT || '1000000' },
    seed: { type: 'string', default: process.env.SEED || '1' }, batch: { type: 'string', default: '20000' },
    families: { type: 'string', default: process.env.FAMILIES || '*' }, oracles: { type: 'boolean' },
    list: { type: 'boolean' }, help: { type: 'boolean' },
  },
});
const program = positionals[0];
if (options.help || (!program && !options.oracles && !options.list)) {
  console.log(usage);
  process.exit(options.help ? 0 : 2);
}
if (program && !existsSync(program)) {
  console.error(`test-tokenizers: ${program} must be the program; there is no such file; run 'make build'`);
  process.exit(2);
}
const count = Number(options.count);
const batchSize = Math.min(Number(options.batch), count);
const hostile = [...ours, ...publishedTexts];
const shownDifferences = 3;  // of a kind
const tooManyDifferences = 5000;

const vocabularies = new Vocabularies(options.cache);
const scratch = mkdtempSync(join(tmpdir(), 'gradus-test-tokenizers.'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));

// ---- The program under test

class ProgramError extends Error {}
let programSeconds = 0;
let calls = 0;
async function call(...parameters) {
  const start = process.hrtime.bigint();
  const output = await runProgram(program, parameters).catch((error) => { throw new ProgramError(error.message); });
  programSeconds += Number(process.hrtime.bigint() - start) / 1e9;
  return output;
}
const tokenizerOptions = ({ special, units }) =>
  [...(units === 'char' ? ['--offsets', 'char'] : []), ...(special ? [] : ['--special', 'off'])];

function lines(output) {
  const found = output.toString('utf8').split('\n');
  if (found.at(-1) === '') found.pop();
  try {
    return found.map((line) => JSON.parse(line));
  } catch (error) {
    throw new ProgramError(`printed what is not JSON: ${error.message}`);
  }
}

// Runs `tokenizer ACTION FILE` over one JSON value a line.
async function perLine(action, file, values, extra) {
  const input = join(scratch, `${++calls}.jsonl`);
  writeFileSync(input, values.map((value) => JSON.stringify(value) + '\n').join(''));
  const results = lines(await call('tokenizer', action, file, '--input', input, '--json', ...extra));
  rmSync(input);
  if (results.length !== values.length) throw new ProgramError(`${action} printed ${results.length} lines for ${values.length}`);
  return results;
}
const asJson = (item) => (typeof item === 'string' ? item : { text: item[0], pair: item[1] });
const encodeHere = (file, items, mode) => perLine('encode', file, items.map(asJson), tokenizerOptions(mode));
const decodeHere = (file, lists) => perLine('decode', file, lists, []);

// ---- Comparing

function sameList(a, b) {
  if (!Array.isArray(b) || a.length !== b.length) return false;
  for (let i = 0; i < a.length; ++i) if (a[i] !== b[i]) return false;
  return true;
}

// What differs between the oracle's tokens and ours: '', 'ids', 'offsets' or 'pieces'.
function encodingDifference(oracle, expected, got) {
  if (!got || !sameList(expected.ids, got.ids)) return 'ids';
  for (let i = 0; i < expected.ids.length; ++i) {
    const offset = got.offsets?.[i];
    if (!offset || offset[0] !== expected.offsets[i][0] || offset[1] !== expected.offsets[i][1]) return 'offsets';
  }
  if (oracle.pieces) {
    for (let i = 0; i < expected.ids.length; ++i) {
      const id = expected.ids[i];
      if (id !== oracle.unknown && got.pieces?.[i] !== oracle.pieces[id]) return 'pieces';
    }
  }
  return '';
}

const quote = (value) => JSON.stringify(value).replace(/[^\x20-\x7e]/gu,
  (ch) => `${/[\p{L}\p{N}\p{P}\p{S}]/u.test(ch) ? ch : ''}{U+${ch.codePointAt(0).toString(16).toUpperCase()}}`);
function clip(text, most = 600) { return text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text; }

class Family {
  constructor(family) {
    Object.assign(this, family);
    this.strings = this.tokens = this.decoded = this.differing = 0;
    this.kinds = {};
    this.shown = {};
    this.oracleSeconds = 0;
  }

  note(kind, number = 1) {
    this.differing += number;
    this.kinds[kind] = (this.kinds[kind] ?? 0) + number;
  }

  // Whether a difference of a kind is among the first, which are printed.
  shows(kind) {
    this.shown[kind] = (this.shown[kind] ?? 0) + 1;
    return this.shown[kind] <= shownDifferences;
  }

  async timed(work) {
    const start = process.hrtime.bigint();
    const value = await work();
    this.oracleSeconds += Number(process.hrtime.bigint() - start) / 1e9;
    return value;
  }

  async open() {
    if (this.from) {
      this.path = join(scratch, `${this.name}.json`);
      await call('convert', this.from(), '-o', this.path);
    } else {
      this.path = this.file();
    }
    this.oracle = await this.makeOracle(this.path);
    if (this.truth) this.source = await this.truth();
    const strange = skewed(this.skew, vocabularies.require);
    this.mask = assigned.map((known, c) => (known && !strange[c] ? 1 : 0));
    this.strange = [...unassigned()];
    for (let c = 0; c < size; ++c) if (strange[c]) this.strange.push(c);
    this.skewed = strange.reduce((sum, value) => sum + value, 0);
    this.generator = new Generator(new Alphabet(this.mask), this.oracle.added, this.oracle.surfaces());
  }
  makeOracle(path) { return this.oracle(vocabularies, path); }

  // The differences of some items, as [kind, index, expected, got].
  async encodingDifferences(items, mode) {
    const [expected, got] = await Promise.all([this.timed(() => this.oracle.encode(items, mode)),
      program && encodeHere(this.path, items, { ...mode, units: this.oracle.units })]);
    for (const encoding of expected) this.tokens += encoding.ids.length;
    const found = [];
    if (program) {
      expected.forEach((encoding, i) => {
        const kind = encodingDifference(this.oracle, encoding, got[i]);
        if (kind) found.push([kind, i, encoding, got[i]]);
      });
    }
    if (this.source) {
      (await this.source.encode(items, mode)).forEach((encoding, i) => {
        if (!sameList(encoding.ids, expected[i].ids)) found.push(['converted ids', i, encoding, expected[i]]);
      });
    }
    return { expected, found };
  }

  async compareEncoding(items, mode, where) {
    let outcome;
    try {
      outcome = await this.encodingDifferences(items, mode);
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      await this.reportFailure(error, items, mode, where);
      return null;
    }
    this.strings += items.reduce((sum, item) => sum + (typeof item === 'string' ? 1 : 2), 0);
    for (const [kind, i, expected, got] of outcome.found) {
      this.note(kind);
      if (this.shows(kind)) await this.showEncoding(kind, items[i], expected, got, mode, where);
    }
    return outcome.expected;
  }

  async showEncoding(kind, item, expected, got, mode, where) {
    const before = this.tokens;
    const failing = async (candidates) => {
      const failed = new Set((await this.encodingDifferences(candidates, mode)).found.filter(([k]) => k === kind).map(([, i]) => i));
      return candidates.map((_, i) => failed.has(i));
    };
    let small = item;
    try {
      if (typeof item === 'string') {
        small = (await shrink([...item], async (lists) => failing(lists.map((list) => list.join(''))))).join('');
      } else {
        const text = (await shrink([...item[0]], async (lists) => failing(lists.map((list) => [list.join(''), item[1]])))).join('');
        small = [text, (await shrink([...item[1]], async (lists) => failing(lists.map((list) => [text, list.join('')])))).join('')];
      }
      const again = (await this.encodingDifferences([small], mode)).found.find(([k]) => k === kind);
      if (again) [, , expected, got] = again;
    } catch (error) {
      console.log(`  (could not be made smaller: ${clip(error.message, 200)})`);
    }
    this.tokens = before;
    console.log(`  ${this.name}: ${kind} differ, ${where}${mode.special ? '' : ', --special off'}`);
    console.log(`    text      ${clip(quote(asJson(small)))}`);
    if (kind !== 'pieces') console.log(`    expected  ${clip(this.describe(expected, kind))}`);
    else console.log(`    expected  ${clip(quote(expected.ids.map((id) => this.oracle.pieces[id])))}`);
    console.log(`    got       ${clip(kind === 'pieces' ? quote(got?.pieces ?? null) : this.describe(got, kind))}`);
  }

  describe(encoding, kind) {
    if (!encoding) return 'nothing';
    if (kind === 'offsets') return JSON.stringify(encoding.offsets);
    const pieces = encoding.pieces ?? (this.oracle.pieces ? encoding.ids.map((id) => this.oracle.pieces[id]) : undefined);
    return JSON.stringify(encoding.ids) + (pieces ? `  ${quote(pieces)}` : '');
  }

  // The program failed on a batch: looks for one text that makes it fail.
  async reportFailure(error, items, mode, where) {
    this.note('failure');
    let list = items;
    while (list.length > 1) {
      const half = list.slice(0, list.length >> 1);
      const fails = await encodeHere(this.path, half, { ...mode, units: this.oracle.units }).then(() => false, () => true);
      list = fails ? half : list.slice(half.length);
    }
    console.log(`  ${this.name}: the program failed, ${where}: ${clip(error.message)}`);
    console.log(`    the first text that is to blame: ${clip(quote(asJson(list[0])))}`);
  }

  async compareDecoding(lists, where) {
    let expected, got;
    try {
      [expected, got] = await Promise.all([this.timed(() => this.oracle.decode(lists)), program && decodeHere(this.path, lists)]);
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      this.note('failure');
      console.log(`  ${this.name}: decoding failed, ${where}: ${clip(error.message)}`);
      return;
    }
    this.decoded += lists.length;
    if (!program) return;
    for (let i = 0; i < lists.length; ++i) {
      if (expected[i] === got[i]) continue;
      this.note('decoding');
      if (!this.shows('decoding')) continue;
      const small = await shrink(lists[i], async (candidates) => {
        const [a, b] = [await this.oracle.decode(candidates), await decodeHere(this.path, candidates)];
        return candidates.map((_, k) => a[k] !== b[k]);
      });
      console.log(`  ${this.name}: decoding differs, ${where}`);
      console.log(`    ids       ${clip(JSON.stringify(small))}`);
      console.log(`    expected  ${clip(quote((await this.oracle.decode([small]))[0]))}`);
      console.log(`    got       ${clip(quote((await decodeHere(this.path, [small]))[0]))}`);
    }
  }

  // A whole file is one text.
  async wholeFile(texts) {
    const text = texts.join('\n');
    const path = join(scratch, 'whole.txt');
    writeFileSync(path, text);
    const [expected] = await this.timed(() => this.oracle.encode([text]));
    if (!program) return;
    const [got] = lines(await call('tokenizer', 'encode', this.path, '--input', path, '--json', '--force-text',
      ...tokenizerOptions({ special: !this.plain, units: this.oracle.units })));
    const kind = encodingDifference(this.oracle, expected, got);
    if (!kind) return;
    this.note(`${kind} of a whole file`);
    const at = expected.ids.findIndex((id, i) => encodingDifference(this.oracle, { ids: [id], offsets: [expected.offsets[i]] },
      { ids: [got?.ids?.[i]], offsets: [got?.offsets?.[i]], pieces: [got?.pieces?.[i]] }));
    console.log(`  ${this.name}: ${kind} of a file of ${text.length} characters differ, from token ${at} on: expected ` +
      `${expected.ids.slice(at, at + 8)} at ${expected.offsets[at]}, got ${got?.ids.slice(at, at + 8)} at ${got?.offsets?.[at]}`);
  }

  // Bytes that are not UTF-8 come back as they went in; no oracle takes them.
  async roundTrip(number) {
    const random = new Random(options.seed, this.name, 'bytes');
    const path = join(scratch, 'bytes.bin');
    const list = join(scratch, 'ids.jsonl');
    for (let left = number; left > 0; left -= batchSize) {
      const bytes = Buffer.concat(Array.from({ length: Math.min(left, batchSize) }, () => this.generator.nextBytes(random)));
      if (!program) return;
      writeFileSync(path, bytes);
      const [got] = lines(await call('tokenizer', 'encode', this.path, '--input', path, '--json', '--force-text', '--special', 'off'));
      writeFileSync(list, JSON.stringify(got.ids) + '\n');
      const back = await call('tokenizer', 'decode', this.path, '--input', list);
      if (!bytes.equals(back) && !Buffer.concat([bytes, Buffer.from('\n')]).equals(back)) {
        this.note('round trip');
        let at = 0;
        while (bytes[at] === back[at]) ++at;
        console.log(`  ${this.name}: bytes that are not UTF-8 come back changed from byte ${at} on: expected ` +
          `${bytes.subarray(at, at + 16).toString('hex')}, got ${back.subarray(at, at + 16).toString('hex')}`);
      }
    }
    this.invalid = number;
  }

  async published() {
    if (!program) return;
    for (const { text, ids, starts } of published[this.name] ?? []) {
      const [got] = await encodeHere(this.path, [text], { special: !this.plain, units: 'char' });
      this.known = (this.known ?? 0) + 1;
      if ((!ids || sameList(ids, got.ids)) && (!starts || sameList(starts, got.offsets.map(([begin]) => begin)))) continue;
      this.note('published');
      console.log(`  ${this.name}: not what the original's tests expect of ${quote(text)}: expected ${JSON.stringify(ids ?? starts)}, ` +
        `got ${JSON.stringify(ids ? got.ids : got.offsets)}`);
    }
  }

  // Not a failure: here Unicode's versions decide.
  async strangers() {
    const random = new Random(options.seed, this.name, 'strange');
    const items = Array.from({ length: Math.min(batchSize, 20000) }, () => this.generator.nextFrom(random, this.strange));
    const tokens = this.tokens;
    const { found } = await this.encodingDifferences(items, { special: !this.plain });
    this.tokens = tokens;
    this.strangersLine = `${found.length} of ${items.length} texts differ` + (found.length ? `, for instance ${clip(quote(items[found[0][1]]), 120)}` : '');
  }

  async run() {
    await this.open();
    const usual = { special: !this.plain };
    await this.guard(() => this.published());
    await this.compareEncoding(hostile, usual, 'hostile texts');
    if (this.special) await this.compareEncoding(hostile, { special: false }, 'hostile texts');
    if (this.pairs) await this.compareEncoding(hostile.map((text, i) => [text, hostile.at(-1 - i)]), usual, 'hostile pairs');
    const pool = this.oracle.pieces
      ? [...this.oracle.pieces.keys()].filter((id) => this.oracle.pieces[id] !== undefined) : this.oracle.idPool();
    for (let batch = 0, left = count; left > 0; ++batch, left -= batchSize) {
      const random = new Random(options.seed, this.name, batch);
      const number = Math.min(left, batchSize);
      const texts = Array.from({ length: number }, () => this.generator.next(random));
      const part = batch % 10;
      const mode = { special: !this.plain && !(this.special && (part === 6 || part === 7)) };
      const pairs = this.pairs && part >= 8;
      const items = pairs ? texts.slice(0, number >> 1).map((text, i) => [text, texts[(number >> 1) + i]]) : texts;
      const where = `batch ${batch} of seed ${options.seed}${pairs ? ', pairs' : ''}`;
      const expected = await this.compareEncoding(items, mode, where);
      if (!expected) break;
      const lists = expected.map(({ ids }) => ids);
      for (let n = number / 20; n > 0; --n) lists.push(Array.from({ length: random.between(0, 12) }, () => random.pick(pool)));
      await this.compareDecoding(lists, where);
      if (batch === 0) await this.guard(() => this.wholeFile(texts));
      if (this.isStopped()) break;
    }
    if (this.oracle.byteLevel && !this.changing && !this.from && !this.isStopped()) await this.guard(() => this.roundTrip(Math.ceil(count / 18)));
    if (!this.isStopped()) await this.guard(() => this.strangers());
  }

  // Nothing more is to be learnt from a family that differs everywhere, or that makes the program fail.
  isStopped() { return this.differing > tooManyDifferences || (this.kinds.failure ?? 0) > 0; }

  async guard(action) {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      this.note('failure');
      console.log(`  ${this.name}: the program failed: ${clip(error.message)}`);
    }
  }

  // The shares of the texts that have a segment of a kind.
  shares() {
    return kinds.map((kind, i) => [kind, this.generator.counts[i] / this.generator.texts]);
  }
}

// ---- All of it

const wanted = options.families.split(',').map((name) => new RegExp(`^${name.replace(/[.+]/g, '\\$&').replace('*', '.*')}$`));
const chosen = families(vocabularies, join(options.cache, 'sentencepiece_oracle'))
  .filter(({ name, from }) => wanted.some((pattern) => pattern.test(name)) && (program || !from || options.list));
if (options.list) {
  for (const { name } of chosen) console.log(name);
  process.exit(0);
}
if (chosen.length === 0) {
  console.error(`test-tokenizers: --families ${options.families} names no family; --list says which there are`);
  process.exit(2);
}
console.log(`seed ${options.seed}, ${count} strings a family, characters of Unicode ${version}; of the characters that an oracle ` +
  'treats by\nanother Unicode than that, and those that are not assigned, the differences are told but not counted');
const failed = [];
const startOfAll = Date.now();
for (const description of chosen) {
  const family = new Family(description);
  const start = Date.now();
  programSeconds = 0;
  try {
    await family.run();
  } catch (error) {
    family.note('failure');
    console.log(`  ${family.name}: ${clip(error.message)}`);
  }
  const kindsOf = Object.entries(family.kinds).map(([kind, number]) => `${kind} ${number}`).join(', ');
  console.log(`${family.differing ? 'FAIL' : 'ok  '} ${family.name.padEnd(20)} ${family.strings} strings, ${family.tokens} tokens, ` +
    `${family.decoded} decoded${family.known ? `, ${family.known} published` : ''}${family.invalid ? `, ${family.invalid} not UTF-8` : ''}: ${family.differing} differ${kindsOf ? ` (${kindsOf})` : ''}; ` +
    `${Math.round((Date.now() - start) / 1000)} s (oracle ${Math.round(family.oracleSeconds)}, program ${Math.round(programSeconds)})`);
  if (family.strangersLine) {
    console.log(`     other Unicode${family.skewed ? ` (${family.skewed} characters by the oracle's own tables, and unassigned ones)` : ' (unassigned)'}: ${family.strangersLine}`);
  }
  if (family.generator?.texts) {
    const shares = family.shares();
    if (family.name === chosen[0].name) {
      console.log(`     texts with: ${shares.map(([kind, share]) => `${kind} ${(share * 100).toFixed(0)} %`).join(', ')}`);
    }
    const rare = shares.filter(([, share]) => share < 0.05);
    if (rare.length && count >= 1000) { family.note('rare kind'); console.log(`     fewer than 5 % have: ${rare.map(([kind]) => kind).join(', ')}`); }
  }
  if (family.differing) failed.push(family.name);
}
console.log(`${chosen.length - failed.length} passed, ${failed.length} failed`);
console.log(`${Math.round((Date.now() - startOfAll) / 1000)} s${failed.length ? `; failed: ${failed.join(' ')}` : ''}`);
process.exit(failed.length ? 1 : 0);
