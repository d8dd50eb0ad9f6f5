// The original implementations, all with the same face:
//   encode(items, {special})  -> [{ids, offsets}], where an item is a text or a pair of texts
//   decode(ids of each)       -> [text]
//   pieces                    -> how the vocabulary writes each id; undefined where that is nobody's business
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { byteLetters } from './vocabularies.mjs';

export class HuggingFace {
  constructor(require, file) {
    this.tokenizer = require('@anush008/tokenizers').Tokenizer.fromFile(file);
    this.units = 'char';
    const { added_tokens, model } = JSON.parse(readFileSync(file, 'utf8'));
    // Ids may have gaps, which the library's count leaves out.
    const size = Math.max(this.tokenizer.getVocabSize(true), ...added_tokens.map((token) => token.id + 1));
    this.pieces = Array.from({ length: size }, (_, id) => this.tokenizer.idToToken(id) ?? undefined);
    this.added = added_tokens.map((token) => token.content);
    // A unigram model's unknown tokens are called by their text.
    this.unknown = model.type === 'Unigram' ? model.unk_id : -1;
    this.byteLevel = JSON.stringify(this.pieces).includes('Ġ') && !JSON.stringify(this.pieces).includes('▁the');
  }
  async encode(items, { special = true } = {}) {
    // The binding's encodeBatch takes no pairs.
    const encodings = typeof items[0] === 'string' ? await this.tokenizer.encodeBatch(items, { addSpecialTokens: special })
      : await Promise.all(items.map(([text, pair]) => this.tokenizer.encode(text, pair, { addSpecialTokens: special })));
    return encodings.map((encoding) => ({ ids: encoding.getIds(), offsets: encoding.getOffsets() }));
  }
  decode(lists) { return this.tokenizer.decodeBatch(lists, false); }
  // Texts for the generator.
  surfaces() {
    return this.pieces.filter((piece) => piece !== undefined)
      .map((piece) => (this.byteLevel ? unspell(piece) : piece.replace(/^##/, '').replaceAll('▁', ' ')));
  }
}

const bytesOfLetters = new Map(byteLetters().map((letter, byte) => [letter, byte]));
function unspell(piece) {
  const bytes = [...piece].map((ch) => bytesOfLetters.get(ch));
  return bytes.includes(undefined) ? piece : Buffer.from(bytes).toString('utf8').replaceAll('�', '');
}

export class Tiktoken {
  constructor(require, name) {
    this.encoding = require('tiktoken').get_encoding(name);
    this.units = 'byte';
    this.bytes = [];
    this.added = Object.keys(require(`tiktoken/encoders/${name}.json`).special_tokens);
    for (const token of this.encoding.token_byte_values()) {
      const bytes = Uint8Array.from(token);
      this.bytes[this.encoding.encode_single_token(bytes)] = bytes;
    }
    for (const token of this.added) this.bytes[this.encoding.encode(token, 'all')[0]] = Buffer.from(token);
    this.unknown = -1;
    this.byteLevel = true;
  }
  async encode(items) {
    return items.map((text) => {
      const ids = Array.from(this.encoding.encode(text, 'all'));
      let at = 0;
      return { ids, offsets: ids.map((id) => [at, at += this.bytes[id].length]) };
    });
  }
  async decode(lists) {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return lists.map((ids) => decoder.decode(this.encoding.decode(Uint32Array.from(ids))));
  }
  idPool() { return Object.keys(this.bytes).map(Number); }
  surfaces() { return this.bytes.map((bytes) => Buffer.from(bytes).toString('utf8').replaceAll('�', '')).filter(Boolean); }
}

export class SentencePiece {
  constructor(program, file) {
    this.program = program;
    this.file = file;
    this.units = 'byte';
    this.byteLevel = false;
  }
  async open() {
    const output = await this.run('pieces', Buffer.alloc(0));
    this.pieces = texts(output).map((bytes) => bytes.toString('utf8'));
    this.unknown = this.pieces.indexOf('<unk>');
    this.added = this.pieces.filter((piece) => /^<[^▁]+>$/.test(piece));
    return this;
  }
  run(action, input) { return runProgram(this.program, [this.file, action], input); }
  async encode(items) {
    const output = await this.run('encode', frames(items.map((text) => Buffer.from(text))));
    const numbers = new Uint32Array(Uint8Array.from(output).buffer);
    const results = [];
    for (let at = 0; at < numbers.length;) {
      const ids = [];
      const offsets = [];
      for (let n = numbers[at++]; n > 0; --n, at += 3) {
        ids.push(numbers[at]);
        offsets.push([numbers[at + 1], numbers[at + 2]]);
      }
      results.push({ ids, offsets });
    }
    return results;
  }
  async decode(lists) {
    const input = Buffer.concat(lists.map((ids) => Buffer.from(Uint32Array.of(ids.length, ...ids).buffer)));
    return texts(await this.run('decode', input)).map((bytes) => bytes.toString('utf8'));
  }
  surfaces() { return this.pieces.map((piece) => piece.replaceAll('▁', ' ')); }
}

function frames(parts) {
  return Buffer.concat(parts.flatMap((part) => {
    const size = Buffer.alloc(4);
    size.writeUInt32LE(part.length);
    return [size, part];
  }));
}

function texts(output) {
  const found = [];
  for (let at = 0; at < output.length;) {
    const length = output.readUInt32LE(at);
    found.push(output.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

// What a program prints; an Error with what it says on stderr if it fails.
export function runProgram(program, options, input) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, options, { stdio: ['pipe', 'pipe', 'pipe'] });
    const output = [];
    const errors = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => errors.push(chunk));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(output));
      else reject(new Error(`${program} ${options.join(' ')}: ${signal ?? `exit ${code}`}: ${Buffer.concat(errors).toString('utf8').trim().slice(0, 500)}`));
    });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}
