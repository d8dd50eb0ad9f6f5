// What the originals' own public tests expect: texts with their ids, and with `starts` (code points) where tokens begin.
const zeros = [[15], [405], [830], [2388], [20483], [10535], [24598], [8269], [10535, 830], [8269, 405], [8269, 830], [8269, 2388], [8269, 20483],
  [8269, 10535], [8269, 24598], [25645], [8269, 10535, 830]];

// openai/tiktoken, tests/test_encoding.py and tests/test_offsets.py.
const gpt2 = [
  { text: 'hello world', ids: [31373, 995] },
  { text: 'hello <|endoftext|>', ids: [31373, 220, 50256] },
  ...zeros.map((ids, i) => ({ text: '0'.repeat(i + 1), ids })),
];
const cl100k = [
  { text: 'hello world', ids: [15339, 1917], starts: [0, 5] },
  { text: 'hello <|endoftext|>', ids: [15339, 220, 100257] },
  { text: 'rer', ids: [38149] },
  { text: '\'rer', ids: [2351, 81] },
  { text: 'today\n ', ids: [31213, 198, 220] },
  { text: 'today\n \n', ids: [31213, 27907] },
  { text: 'today\n  \n', ids: [31213, 14211] },
  { text: ' \u00850', ids: [220, 126, 227, 15] },
  { text: '👍', ids: [9468, 239, 235] },
  { text: 'hello world<|endoftext|> green cow', starts: [0, 5, 11, 24, 30] },
  { text: '我非常渴望与人工智能一起工作', starts: [0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13] },
  { text: 'நடிகர் சூர்யா', starts: [0, 0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 8, 8, 9, 9, 10, 11, 12, 12] },
  { text: ' Ġ除', starts: [0, 1] },
];

// karpathy/llama2.c, test.c; each begins with <s>. The prompts are those of facebookresearch/llama, example_text_completion.py.
const llama2 = [
  { text: '', ids: [1] },
  { text: 'I believe the meaning of life is', ids: [1, 306, 4658, 278, 6593, 310, 2834, 338] },
  { text: 'Simply put, the theory of relativity states that ',
    ids: [1, 3439, 17632, 1925, 29892, 278, 6368, 310, 14215, 537, 5922, 393, 29871] },
  { text: 'A brief message congratulating the team on the launch:\n\n        Hi everyone,\n\n        I just ',
    ids: [1, 319, 11473, 2643, 378, 629, 271, 18099, 278, 3815, 373, 278, 6826, 29901, 13, 13, 4706, 6324, 14332, 29892, 13, 13, 4706, 306, 925, 29871] },
  { text: 'Translate English to French:\n\n        sea otter => loutre de mer\n        peppermint => menthe poivrée\n' +
      '        plush girafe => girafe peluche\n        cheese =>',
    ids: [1, 4103, 9632, 4223, 304, 5176, 29901, 13, 13, 4706, 7205, 4932, 357, 1149, 301, 449, 276, 316, 2778, 13, 4706, 1236, 407, 837, 524, 1149,
      6042, 354, 772, 440, 29878, 1318, 13, 4706, 715, 1878, 330, 3055, 1725, 1149, 330, 3055, 1725, 4639, 28754, 13, 4706, 923, 968, 1149] },
];

export const published = {
  gpt2, 'convert-gpt2-files': gpt2, r50k_base: gpt2, p50k_base: gpt2.slice(0, 2),
  cl100k_base: cl100k, 'convert-cl100k_base': cl100k,
  llama2, 'spm-llama2': llama2.map(({ text, ids }) => ({ text, ids: ids.slice(1) })),
};

// Texts of tiktoken's and karpathy/minbpe's tests that only have to come to what the originals make of them now.
export const publishedTexts = [
  '?', 'hello', 'hello ', 'hello  ', ' hello', ' hello ', ' hello  ', '请考试我的软件！12345', 'hello world!!!? (안녕하세요!) lol123 😉', 'aaabdaaabac',
  '<|endoftext|> hello <|fim_prefix|> there <|fim_middle|>',
  '<|endoftext|>Hello world this is one document\n<|endoftext|>And this is another document\n' +
    '<|endoftext|><|fim_prefix|>And this one has<|fim_suffix|> tokens.<|fim_middle|> FIM\n<|endoftext|>Last document!!! 👋<|endofprompt|>',
  ...['^', '0', 'a', '\'s', ' ', '\n'].flatMap((c) => {
    const run = c.repeat(10000);
    return [run, ` ${run}`, ` ${run}\n`];
  }),
];
