// Texts that have broken tokenizers before: the traps of the public test suites, in words of our own.
const zalgo = 'z\u0300\u0301\u0323\u0316\u0327a\u0308\u0304\u0331l\u035c\u0361g\u20e3o\u0489';
const family = '👩\u200d👩\u200d👧\u200d👦';
export const hostile = [
  '', ' ', '  ', '\n', '\t', '\r\n', '\0', '\0\0a\0', 'a', ' a', 'a ', '  a  ', '\ufeffa', 'a\ufeff', '▁', '▁▁a', '▁ ▁', 'Ġ', 'Ċ', '##a',
  // Whitespace: what the last blank before a word belongs to, and line ends of all kinds.
  'one  two   three    four', 'one\n\ntwo\n\n\n three', '\n \n  \n   \n', 'a\r\n\r\n b\r\r c', '\t\t\tif x:\n\t\t\t\treturn  1 ', ' \n\t\r ',
  'end of text   ', 'end of text \n', 'no\u00a0break\u2003em\u3000wide\u2028line\u0085next\u180emongol\u200bzero\x1cfs',
  // Contractions, in all cases, and what looks like them.
  'I\'m you\'re he\'s we\'ve they\'ll I\'d can\'t', 'I\'M YOU\'RE HE\'S WE\'VE THEY\'LL I\'D CAN\'T', 'rock\'n\'roll \'tis o\'clock \'\'s \'S \'ſ \'LLama',
  'it’s the dogs’ ‘quoted’ don‘t', '\'\'\'\'\'\'s', 'a\'re1\'ve!\'m', '\'s\'t\'re', 'K\'ſ \u212a\'s',
  // Numbers: groups of three, single digits, digits of other scripts.
  '0 01 012 0123 01234 012345 0123456 01234567', '3.14159e-10 1,234,567.89 1_000_000 0x1F 10¹² ½ Ⅻ ①', '١٢٣٤٥ १२३४ ๑๒๓ ０１２３ 〇一二三',
  '1a2b3c a1b2c3 123abc456', '-1 +2 #3 $4.00 €5 6% 7° 8´ №9',
  // Symbols, and slashes and newlines after them.
  '!!! ??? ... --- ___ === *** ///', '//\n// comment\n/* c */\n', 'a/b\\c:d;e,f.g', '</p>\n\n<p>', '(a)[b]{c}<d>"e"`f`', '=>=<!=->::&&||^^',
  'user.name+tag@example.com https://example.com/?a=1&b=%20#x', 'snake_case camelCase PascalCase SCREAMING_CASE kebab-case HTMLParserX2',
  // Characters of more than one code point, and marks without one.
  'e\u0301 é \u0301 a\u0323\u0307 a\u0307\u0323 \u1e69 s\u0323\u0307', zalgo, 'Å Å A\u030a ﬁ ﬀ ㎏ ℌ ① ｱ ア ﾊﾞ', '\u1100\u1161\u11a8 각 \u1100\u1161 \u11a7 가\u11a7',
  `${family}${family} 🏳️\u200d🌈 👍🏽👍🏿 🇩🇪🇫🇷🇯 1️⃣ ☺︎☺️`, '\ud83d\ude00\u200d\u200d\ufe0f\u20e3', 'क्षत्रिय हिन्दी में', 'ภาษาไทยไม่มีช่องว่าง', 'العربيّة مع تشكيلٍ', 'שָׁלוֹם עולם',
  '日本語とEnglishのmixed テキスト、「引用」。', '中文没有空格，标点符号！', '한국어와 조선말 ᄒᆞᆫ글', 'Ελληνικά ΣΊΣΥΦΟΣ σίσυφος', 'Ünïcödé İstanbul ıI ǅ ß ẞ ŉ', 'Съешь же ещё этих мягких булок',
  '𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𐐀𐐨 🜁 𠀀𪚥', '\ue000\uf8ff\u{f0000}', '\u202eabc\u202c \u2066x\u2069 a\u00adb \u034f', '�\ufffd', '\x01\x02\x1b[0m\x7f\x80\x9f',
  // Runs, which cost a careless implementation its square.
  'a'.repeat(3000), ' '.repeat(3000), '\n'.repeat(1000), '^'.repeat(2000), '0'.repeat(2000), '='.repeat(127) + '\n', 'ab'.repeat(1000), '的'.repeat(800), '😀'.repeat(500), 'é'.repeat(101), 'x'.repeat(100), 'x'.repeat(101), '\u0301'.repeat(300),
  // Longer runs make other tokens, and then others with what is before them.
  ...['*', '.', '-', '=', '#', '_', '/', ' '].flatMap((c) => [49, 65, 129, 256, 257, 400, 1025].map((n) => ` ${c.repeat(n)}x`)),
  // Special tokens: whole, cut, nested, twice, glued and in other cases.
  '<|endoftext|>', 'a<|endoftext|>b', ' <|endoftext|> ', '<|endoftext|><|endoftext|>', '<|endoftext', '<|endo<|endoftext|>ftext|>', '<|ENDOFTEXT|>', '<|im_start|>user\nhi<|im_end|>\n',
  '<s>a</s>', '<s><s>', '</s', '<unk>', '<pad><mask> <mask>a', '[CLS] a [SEP] b [MASK].', '[MASK][MASK]', '[cls]', '<bos><start_of_turn>user\n', '<｜begin▁of▁sentence｜>', '<|begin_of_text|>x<|eot_id|>', '<0x41><0x0A><0xFF>',
  '<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>', '<|endofprompt|>', '<|reserved_special_token_0|>',
  'The quick brown fox jumps over the lazy dog.', 'Hello, World! How are you 😁 ?', 'antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis',
];
