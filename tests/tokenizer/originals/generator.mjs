// Texts that are hard for tokenizers, from a seed: each is a few segments, each segment of one of the kinds below.
import { category, characters, size } from './unicode.mjs';

// Numbers from a seed (sfc32): the same on every machine.
export class Random {
  constructor(...seeds) {
    let hash = 2166136261;
    for (const ch of seeds.join('/')) hash = Math.imul(hash ^ ch.codePointAt(0), 16777619);
    [this.a, this.b, this.c, this.counter] = [hash, hash ^ 0x9e3779b9, Math.imul(hash, 0x85ebca6b), 1];
    for (let i = 0; i < 16; ++i) this.bits();
  }
  bits() {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum | 0;
    return sum >>> 0;
  }
  below(n) { return Math.floor(this.bits() / 4294967296 * n); }
  between(low, high) { return low + this.below(high - low + 1); }
  chance(p) { return this.bits() < p * 4294967296; }
  pick(list) { return list[this.below(list.length)]; }
}

const words = ('the of and to in a is that for it as was with be by on not he his but at are this have from or had an ' +
  'they which one you were her all she there would their we him been has when who will more no if out so said what ' +
  'up its about into than them can only other new some could time these two may then do first any my now such like ' +
  'our over man me even most made after also did many before must through back years where much your way well down ' +
  'should because each just those people how too little state good very make world still own see men work long ' +
  'tokenizer antidisestablishmentarianism internationalization rhythm queue xylophone zzz HTTP JSON don isn').split(' ');
const spaces = [' ', '  ', '   ', '\t', '\n', '\r', '\r\n', '\n\n', '\v', '\f', '\x1c', '\x85', '\xa0', '\u1680', '\u180e',
  '\u2002', '\u2003', '\u2009', '\u200b', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\ufeff', ' \n', '\n ', '\t '];
const suffixes = ['s', 't', 're', 've', 'm', 'll', 'd', 'S', 'T', 'RE', 'Ve', 'M', 'LL', 'lL', 'D', 'ſ', 'st', 'rex', 'lla',
  '', 's\'', 'S1', 'll ', 'em', 'tis', 'n'];
const apostrophes = ['\'', '\'', '\'', '\'', '’', ' \'', '\'\'', '`', 'ʼ', '＇'];
const operators = ['=', '==', '===', '!=', '+=', '->', '=>', '::', '&&', '||', '<<', '>>=', '{', '}', '(', ')', '[', ']',
  '();', '){', '};', ';', ',', '.', '//', '/*', '*/', '#', '"', '\'', '\\n', '\\', '$', '@', '%', '^', '~', '<', '>', '?',
  ':', '...', '</', '/>', '--', '++', '!', '`', '```', '"""', '\\u00e9', '/', '|', '_', '__'];
const keywords = ['int', 'return', 'const', 'def', 'self', 'if', 'else', 'for', 'while', 'std', 'vector', 'null', 'None',
  'true', 'function', 'import', 'class', 'void', 'auto', 'i', 'x', 'fooBar', 'foo_bar', 'MAX_SIZE', 'HTMLParser', 'x86_64',
  'a1', 'T', 'size_t', '__init__', 'https', 'www', 'example', 'com'];
const repeated = [' ', ' ', '\n', '\t', '\r\n', 'a', 'A', 'e', '=', '-', '.', '*', '#', '/', '0', '1', '9', '^', '!', '\'',
  'é', 'ß', 'я', 'ا', 'क', 'ก', '中', 'あ', '한', '😀', 'ab', 'abc', ' a', 'a ', '\u0301', '\u00a0', '\u3000', '▁', 'Ġ', '##',
  'ha', 'no', '<', '\u200d', '🇩', '\u3099', '(', '…', '\x00', '�'];
const sampleEmoji = ['👩\u200d💻', '👨\u200d👩\u200d👧\u200d👦', '🏳️\u200d🌈', '🧑🏽\u200d🚀', '❤️\u200d🔥', '👋🏿', '🇫🇷', '🇯🇵', '🇺', '1️⃣', '#️⃣',
  '☺️', '☺︎', '🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}', '👁️\u200d🗨️', '✊🏾', '🤷\u200d♀️', '😀', '😂', '🥺', '🚀', '\u200d', '\ufe0f'];
const special = ['</s>', '<s>', '<unk>', '<|endoftext|>', '<pad>', '[CLS]', '[MASK]', '<|im_start|>', '<0x41>', '<bos>'];

// The scripts, as Scripts.txt names them.
const scripts = {
  greek: ['Greek'], cyrillic: ['Cyrillic'], arabic: ['Arabic'], hebrew: ['Hebrew'], devanagari: ['Devanagari'],
  thai: ['Thai'], han: ['Han'], kana: ['Hiragana', 'Katakana'], hangul: ['Hangul'],
};
export const kinds = ['ascii', 'accents', ...Object.keys(scripts), 'emoji', 'marks', 'special', 'runs', 'code', 'numbers',
  'whitespace', 'contractions', 'case', 'any', 'pieces'];

export class Alphabet {
  // `mask[c]` is 1 for the characters that texts may hold.
  constructor(mask) {
    const of = (choice) => characters(mask, choice);
    this.scripts = {};
    for (const [kind, names] of Object.entries(scripts)) {
      this.scripts[kind] = of({ scripts: names, categories: ['L', 'M'] });
    }
    // Most Chinese text is of few characters, and most of Unicode is Chinese.
    this.scripts.han = this.scripts.han.filter((c) => c < 0xa000 || c % 37 === 0);
    this.scripts.hangul = this.scripts.hangul.filter((c) => c >= 0xac00 ? c % 5 === 0 : true);
    this.accents = of({ scripts: ['Latin'], categories: ['L'] }).filter((c) => c >= 0xc0);
    this.marks = of({ categories: ['M'] });
    this.letters = of({ categories: ['L'] });
    this.digits = of({ categories: ['N'] });
    this.cased = of({ categories: ['Lu', 'Ll', 'Lt'] });
    this.symbols = of({ categories: ['S', 'P'] });
    this.emoji = this.symbols.filter((c) => c >= 0x1f300 && c < 0x1fb00 || c >= 0x2600 && c < 0x27c0);
    this.basic = of({}).filter((c) => c < 0x10000);
    this.all = of({});
    this.mask = mask;
  }
  allows(text) {
    for (const ch of text) if (!this.mask[ch.codePointAt(0)]) return false;
    return true;
  }
}

export class Generator {
  // `tokens` are the added tokens of a tokenizer, `pieces` texts of its vocabulary.
  constructor(alphabet, tokens, pieces) {
    this.alphabet = alphabet;
    this.tokens = [...tokens, ...special].filter((token) => alphabet.allows(token));
    this.pieces = pieces.filter((piece) => piece && alphabet.allows(piece));
    this.counts = new Array(kinds.length).fill(0);
    this.texts = 0;
    this.sampleEmoji = sampleEmoji.filter((text) => alphabet.allows(text));
    this.repeated = repeated.filter((text) => alphabet.allows(text));
    this.spaces = spaces.filter((text) => alphabet.allows(text));
  }

  characters(random, list, low, high) {
    const chosen = [];
    for (let n = random.between(low, high); n > 0; --n) chosen.push(random.pick(list));
    return String.fromCodePoint(...chosen);
  }

  word(random) {
    if (random.chance(0.7)) return random.pick(words);
    let text = '';
    for (let n = random.between(1, 9); n > 0; --n) text += String.fromCharCode(97 + random.below(26));
    return text;
  }

  phrase(random) {
    let text = '';
    for (let n = random.between(1, 5); n > 0; --n) {
      const word = this.word(random);
      text += random.chance(0.15) ? word[0].toUpperCase() + word.slice(1) : word;
      if (random.chance(0.15)) text += random.pick(',.;:!?)"-');
      if (n > 1) text += ' ';
    }
    return text;
  }

  segment(random, kind) {
    const alphabet = this.alphabet;
    switch (kind) {
      case 'ascii': return this.phrase(random);
      case 'accents': {
        let text = '';
        for (const ch of this.word(random)) {
          text += random.chance(0.4) ? this.characters(random, alphabet.accents.slice(0, random.chance(0.8) ? 64 : undefined), 1, 1) : ch;
        }
        return text;
      }
      case 'emoji': {
        let text = '';
        for (let n = random.between(1, 4); n > 0; --n) {
          text += random.chance(0.6) ? random.pick(this.sampleEmoji) : this.characters(random, alphabet.emoji, 1, 2);
        }
        return text;
      }
      case 'marks': {
        let text = '';
        for (let n = random.between(1, 3); n > 0; --n) {
          text += random.chance(0.7) ? this.word(random).slice(0, 3) : this.characters(random, alphabet.letters, 1, 1);
          const list = random.chance(0.6) ? alphabet.marks.slice(0, 112) : alphabet.marks;
          text += this.characters(random, list, 1, 4);
        }
        return random.chance(0.15) ? text.normalize('NFD') : text;
      }
      case 'special': {
        const token = random.pick(this.tokens);
        const shape = random.below(12);
        if (shape === 0) return token.slice(0, random.between(1, token.length));
        if (shape === 1) return token.toUpperCase();
        if (shape === 2) return token + token;
        if (shape === 3) return ' ' + token + '  ';
        if (shape === 4) return this.word(random) + token + this.word(random);
        if (shape === 5) return '<' + token + '>';
        return token;
      }
      case 'runs': {
        const most = random.chance(0.02) ? 400 : random.chance(0.25) ? 50 : 14;
        const unit = random.chance(0.8) ? random.pick(this.repeated) : this.characters(random, alphabet.basic, 1, 2);
        return unit.repeat(random.between(4, most));
      }
      case 'code': {
        let text = random.chance(0.3) ? '\n' + ' '.repeat(random.between(0, 12)) : '';
        for (let n = random.between(2, 7); n > 0; --n) {
          text += random.chance(0.5) ? random.pick(keywords) : random.pick(operators);
          if (random.chance(0.3)) text += ' ';
        }
        return text;
      }
      case 'numbers': {
        const digits = () => String(random.bits()).slice(0, random.between(1, 10));
        switch (random.below(8)) {
          case 0: return digits() + '.' + digits();
          case 1: return digits() + digits() + digits();
          case 2: return '1,' + digits().slice(0, 3) + ',' + digits();
          case 3: return '0x' + random.bits().toString(16);
          case 4: return `${random.between(1, 31)}/${random.between(1, 12)}/${random.between(1900, 2100)}`;
          case 5: return this.characters(random, alphabet.digits, 1, 5);
          case 6: return digits() + this.characters(random, alphabet.digits, 1, 2) + this.word(random);
          default: return digits();
        }
      }
      case 'whitespace': {
        let text = '';
        for (let n = random.between(1, 6); n > 0; --n) text += random.chance(0.5) ? random.pick(this.spaces) : random.pick(' \n\t');
        return text;
      }
      case 'contractions': {
        const word = random.chance(0.85) ? this.word(random) : this.characters(random, alphabet.letters, 1, 2);
        return (random.chance(0.3) ? word.toUpperCase() : word) + random.pick(apostrophes) + random.pick(suffixes);
      }
      case 'case': {
        let text = '';
        if (random.chance(0.3)) return this.characters(random, alphabet.cased, 1, 6);
        if (random.chance(0.1)) return random.pick(['ΑΣ', 'ὈΔΥΣΣΕΎΣ', 'ΣΑΣ.', 'İstanbul', 'DIYARBAKIR ı', 'Straße', 'STRASSE ẞ', 'ǅungla', 'ﬁﬂﬃ', 'K Å', 'ſs', 'ʼn ŉ']);
        for (let n = random.between(1, 3); n > 0; --n) {
          const word = this.word(random);
          const shape = random.below(4);
          text += shape === 0 ? word.toUpperCase() : shape === 1 ? word[0].toUpperCase() + word.slice(1) :
            shape === 2 ? [...word].map((ch) => (random.chance(0.5) ? ch.toUpperCase() : ch)).join('') : word;
        }
        return text;
      }
      case 'any': return this.characters(random, random.chance(0.5) ? alphabet.basic : alphabet.all, 1, 5);
      case 'pieces': {
        let text = '';
        for (let n = random.between(1, 4); n > 0; --n) text += random.pick(this.pieces);
        return text;
      }
      default: {
        const letters = alphabet.scripts[kind];
        // Half of the texts keep to a small part of the script, as words do.
        const from = random.below(letters.length);
        const list = random.chance(0.5) ? letters : letters.slice(from, from + 40);
        let text = this.characters(random, list, 1, 8);
        if (random.chance(0.3)) text += (random.chance(0.7) ? ' ' : '') + this.characters(random, list, 1, 6);
        return text;
      }
    }
  }

  next(random) {
    let text = '';
    let seen = 0;
    for (let n = random.pick([1, 1, 2, 2, 2, 3, 3, 4, 5]); n > 0; --n) {
      const kind = random.below(kinds.length);
      seen |= 1 << kind;
      text += this.segment(random, kinds[kind]);
      if (n > 1 && random.chance(0.5)) text += random.chance(0.8) ? ' ' : random.pick(this.spaces);
    }
    if (!this.alphabet.allows(text)) text = [...text].filter((ch) => this.alphabet.mask[ch.codePointAt(0)]).join('');
    for (let kind = 0; kind < kinds.length; ++kind) if (seen >> kind & 1) ++this.counts[kind];
    ++this.texts;
    return text;
  }

  // Texts with characters that the oracles' Unicode tables and ours see differently.
  nextFrom(random, strange) {
    let text = '';
    for (let n = random.between(1, 4); n > 0; --n) {
      text += random.chance(0.5) ? this.word(random) : random.pick([' ', '', '\'', '1', 'é', '\u0301']);
      text += this.characters(random, strange, 1, 2);
    }
    return text;
  }

  // Bytes that are not UTF-8, among text that is.
  nextBytes(random) {
    const parts = [];
    for (let n = random.between(1, 5); n > 0; --n) {
      parts.push(Buffer.from(this.segment(random, random.pick(kinds))));
      const whole = Buffer.from(this.characters(random, this.alphabet.all, 1, 1));
      const broken = [
        () => whole.subarray(0, Math.max(1, whole.length - 1)),
        () => Buffer.from([random.between(0x80, 0xbf)]),
        () => Buffer.from([random.pick([0xc0, 0xc1, 0xf5, 0xf8, 0xfc, 0xfe, 0xff])]),
        () => Buffer.from([0xc0, 0xaf]), () => Buffer.from([0xe0, 0x80, 0xaf]), () => Buffer.from([0xf0, 0x80, 0x80, 0xaf]),
        () => Buffer.from([0xed, random.between(0xa0, 0xbf), 0x80]), () => Buffer.from([0xf4, 0x90, 0x80, 0x80]),
        () => Buffer.from([0xf0, 0x9f, 0x98]), () => Buffer.from([0xe4, 0xb8, 0x20]),
        () => Buffer.from(Array.from({ length: random.between(1, 8) }, () => random.below(256))),
      ];
      parts.push(random.pick(broken)());
    }
    return Buffer.concat(parts);
  }
}

// Characters that Unicode has not assigned, and those that never will be.
export function unassigned() {
  const found = [];
  for (let c = 0; c < size; ++c) {
    if (category[c] === 'Cn' && (c < 0x20000 || c % 211 === 0 || (c & 0xfffe) === 0xfffe)) found.push(c);
  }
  return found;
}
