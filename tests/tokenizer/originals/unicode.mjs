// Debian's Unicode tables: what is assigned, since when, and to what.
import { readFileSync } from 'node:fs';

const folder = '/usr/share/unicode/';
export const size = 0x110000;

// Calls use(first, last, value) for each line `first..last ; value` of a table.
function read(file, use) {
  for (const line of readFileSync(folder + file, 'utf8').split('\n')) {
    const match = /^([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*([^#;\s]+)/.exec(line);
    if (match) use(parseInt(match[1], 16), parseInt(match[2] ?? match[1], 16), match[3]);
  }
}

// General categories, 'Cn' where nothing is assigned.
export const category = new Array(size).fill('Cn');
read('extracted/DerivedGeneralCategory.txt', (first, last, value) => category.fill(value, first, last + 1));

const script = new Array(size).fill('Zzzz');
read('Scripts.txt', (first, last, value) => script.fill(value, first, last + 1));

// The version of the tables, by their newest characters.
export let version = 0;
const age = new Float32Array(size);
read('DerivedAge.txt', (first, last, value) => {
  version = Math.max(version, parseFloat(value));
  age.fill(parseFloat(value), first, last + 1);
});
// Since which version of Unicode a character is assigned.
export const since = (c) => age[c];

// 1 for every character that the tables know: no surrogates, no noncharacters.
export const assigned = Uint8Array.from(category, (value) => (value === 'Cn' || value === 'Cs' ? 0 : 1));

const whiteSpace = new Uint8Array(size);
read('PropList.txt', (first, last, value) => { if (value === 'White_Space') whiteSpace.fill(1, first, last + 1); });
export const isWhiteSpace = (c) => whiteSpace[c] === 1;

// The characters of scripts and categories that `mask` admits.
export function characters(mask, { scripts, categories }) {
  const found = [];
  for (let c = 0; c < size; ++c) {
    if (mask[c] && (!scripts || scripts.includes(script[c])) &&
        (!categories || categories.some((prefix) => category[c].startsWith(prefix)))) found.push(c);
  }
  return found;
}
