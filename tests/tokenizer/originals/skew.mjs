// Which characters an oracle treats by another Unicode than Debian's: the libraries carry tables of several versions.
import { assigned, category, isWhiteSpace, since, size } from './unicode.mjs';

const isMark = (c) => category[c][0] === 'M';
const drop = (text, refuse) => [...text].filter((ch) => !refuse(ch.codePointAt(0))).join('');
const isChinese = (c) => [[0x4e00, 0x9fff], [0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2b73f], [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf], [0xf900, 0xfaff], [0x2f800, 0x2fa1f]].some(([first, last]) => c >= first && c <= last);
const isPunctuation = (c) => category[c][0] === 'P' || c > 32 && c < 127 && !/[0-9A-Za-z]/.test(String.fromCharCode(c));

// What BERT makes of a text by the tables of unicode.mjs.
function bertWords(text, { lowercase }) {
  let clean = '';
  for (const ch of text) {
    const c = ch.codePointAt(0);
    if (isWhiteSpace(c)) clean += ' ';
    else if (c !== 0xfffd && !['Cc', 'Cf', 'Co'].includes(category[c])) clean += isChinese(c) ? ` ${ch} ` : ch;
  }
  if (lowercase) clean = [...drop(clean.normalize('NFD'), (c) => category[c] === 'Mn')].map((ch) => ch.toLowerCase()).join('');
  const words = [];
  let open = false;
  for (const ch of clean) {
    const c = ch.codePointAt(0);
    if (isWhiteSpace(c)) open = false;
    else if (isPunctuation(c) || !open) { words.push(ch); open = !isPunctuation(c); }
    else words[words.length - 1] += ch;
  }
  return words;
}

const probes = {
  bert(library, options) {
    const normalizer = library.bertNormalizer({ cleanText: true, handleChineseChars: true, stripAccents: options.lowercase, ...options });
    const words = library.bertPreTokenizer();
    return (text) => words.preTokenizeString(normalizer.normalizeString(text)).map(([word]) => word).join('\n') ===
      bertWords(text, options).join('\n');
  },
  albert(library) {
    const normalizer = library.sequenceNormalizer([library.nfkdNormalizer(), library.stripAccentsNormalizer(), library.lowercase()]);
    return (text) => normalizer.normalizeString(text) ===
      [...drop(text.normalize('NFKD'), isMark)].map((ch) => ch.toLowerCase()).join('');
  },
};

// 1 for each character that a family's oracle and the tables see differently.
export function skewed(probe, require) {
  const found = new Uint8Array(size);
  if (!probe) return found;
  // Regular expressions without a splitter of their own run on PCRE2, which in Debian 12 knows Unicode 14.
  if (probe.kind === 'pcre2') {
    for (let c = 1; c < size; ++c) if (assigned[c] && since(c) > 14) found[c] = 1;
    return found;
  }
  const same = probes[probe.kind](require('@anush008/tokenizers'), probe);
  for (let c = 1; c < size; ++c) if (assigned[c] && !same(`a${String.fromCodePoint(c)}b`)) found[c] = 1;
  return found;
}
