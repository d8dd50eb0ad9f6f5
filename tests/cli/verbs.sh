#!/usr/bin/env bash
# What each verb gives, held against what the others give.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"

make_text 500 > text
size="--n-layer 2 --n-head 2 --n-embd 32 --block-size 32 --batch-size 4"
# shellcheck disable=SC2086
succeeds 'train char' "$GRADUS" train text -o char $size --tokenizer char --max-iters 30 --warmup 5 --eval-interval 15 \
  --learning-rate 1e-2 --json
cp out train.json
has_keys 'train --json' out steps train_loss val_loss val_bits_per_byte seconds tokens_per_second peak_rss_bytes run_hash
grep -q '^plan .*parameters.*memory.*disk.*30 steps, about' err || fail train 'to say its plan' "$(cat err)"
grep -q '^next .*gradus generate char' err || fail train 'to name the next command' "$(cat err)"
for file in README.md config.json metrics.jsonl model.safetensors state.safetensors tokenizer.json; do
  [ -s char/$file ] || fail 'a run folder' "$file" "$(ls char)"
done
while read -r line; do
  echo "$line" > line
  has_keys metrics.jsonl line step loss bits_per_byte lr grad_norm tokens_per_second rss_bytes eta_seconds
done < <(sed -n '1p;15p;$p' char/metrics.jsonl)
for word in 'gradus train text' "$(sha256sum < <(printf '%s:' "$(wc -c < text)"; cat text) | cut -d' ' -f1)" 1337; do
  grep -qF -- "$word" char/README.md || fail 'the model card' "$word" "$(cat char/README.md)"
done
ok 'train leaves a run folder with metrics and a model card, and says plan and next command'

# The held-out bytes by hand: the last tenth.
bytes=$(wc -c < text)
tail -c $((bytes / 10)) text > held_out
succeeds eval "$GRADUS" eval char --input held_out --json
has_keys 'eval --json' out loss perplexity bits_per_byte tokens bytes
equal 'eval: loss' "$(json train.json val_loss)" "$(json out loss)"
equal 'eval: bits per byte' "$(json train.json val_bits_per_byte)" "$(json out bits_per_byte)"
equal 'eval: tokens' $((bytes / 10 - 1)) "$(json out tokens)"
equal 'eval: bytes' $((bytes / 10 - 1)) "$(json out bytes)"
cp out eval.json
succeeds 'eval on one thread' "$GRADUS" eval char --input held_out --json --threads 1
same_file 'eval on one thread' eval.json out
ok 'eval gives the validation loss of train, to the last digit, on any number of threads'

# Byte-level BPE on two documents, one of them far from ASCII.
printf 'Gr\303\274\303\237e, \346\227\245\346\234\254\350\252\236! \360\237\230\200 \377\376 <|endoftext|>\n%.0s' 1 2 3 4 5 6 7 8 9 > other
# shellcheck disable=SC2086
succeeds 'train bpe' "$GRADUS" train text other -o bpe $size --arch llama --tokenizer bpe:300 --max-iters 30 --warmup 5 \
  --learning-rate 1e-2 -q
[ ! -s err ] || fail 'train -q' 'nothing on stderr' "$(cat err)"

# Nearly all of the second document is held out; nothing in it may teach the tokenizer.
cat text other > both
head -c $(($(wc -c < both) * 9 / 10)) both > seen
succeeds 'tokenizer train' "$GRADUS" tokenizer train seen --vocab-size 300 -o seen.json -q
same_file 'the tokenizer of train has learned from the part that is not held out' seen.json bpe/tokenizer.json
succeeds 'tokenizer train' "$GRADUS" tokenizer train text other --vocab-size 300 -o all.json -q
! cmp -s seen.json all.json || fail 'the held-out part' 'to be another text' 'the same'

succeeds 'tokenizer show' "$GRADUS" tokenizer show bpe 'the king' --json
has_keys 'tokenizer show --json' out ids pieces offsets
succeeds 'tokenizer show' "$GRADUS" tokenizer show bpe/tokenizer.json 'the king was'
awk '{ split($2, range, "-"); if (range[1] != at) exit 1; at = range[2] } END { exit at != 12 }' out ||
  fail 'tokenizer show' 'ranges from 0 to 12 without gaps' "$(cat out)"
succeeds 'tokenizer show' "$GRADUS" tokenizer show char 'king' -q
equal 'tokenizer show, char' '0-1 1-2 2-3 3-4' "$(awk '{ print $2 }' out | xargs)"
equal 'tokenizer show, char' 'k i n g' "$(awk '{ print $3 }' out | xargs)"
ok 'tokenizer show: pieces, ids and byte ranges that cover the text'

# Samples with tokenizers of every kind, those without a line end among them; the line of a step is before its sample.
tr '\n' ' ' < text > flat
for kind in words wordpiece unigram spm-bpe char byte; do
  from=text
  [ $kind != char ] || from=flat
  vocab='--vocab-size 300'
  [ $kind != char ] && [ $kind != byte ] || vocab=
  # shellcheck disable=SC2086
  succeeds "tokenizer $kind" "$GRADUS" tokenizer train $from --kind $kind $vocab -o $kind.json -q
  # shellcheck disable=SC2086
  succeeds "train $kind" "$GRADUS" train $from -o sampled.$kind --tokenizer $kind.json --n-layer 1 --n-head 2 --n-embd 16 \
    --block-size 16 --batch-size 2 --max-iters 6 --warmup 1 --eval-interval 4 --sample-every 3
  equal "train $kind: steps and samples" 'step 3/6 sample step 4/6 step 6/6 sample' \
    "$(sed -n 's/^\(step *[0-9]*\/6\).*/\1/p; s/^\(sample\) .*/\1/p' err | xargs)"
  succeeds "resume $kind" "$GRADUS" resume sampled.$kind --max-iters 9
  grep -q '^sample ' err || fail "resume $kind" 'a sample' "$(cat err)"
done
# A sample that cannot begin: nothing but the unknown token is there to begin with.
cat > bare.json << 'END'
{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
 "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
 "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "no word": 1}, "unk_token": "<unk>"}}
END
succeeds 'train without a beginning' "$GRADUS" train text -o bare --tokenizer bare.json --n-layer 1 --n-head 2 --n-embd 16 \
  --block-size 16 --batch-size 2 --max-iters 6 --warmup 1 --eval-interval 2
equal 'train without a beginning: said once' 1 "$(grep -c '^note .*no samples are shown' err)"
grep -q '^warning .*100.0 % of the tokens of the text are unknown' err || fail 'a text of unknown tokens' 'a warning' "$(cat err)"
equal 'train without a beginning: the whole run' 6 "$(lines bare/metrics.jsonl)"
ok 'samples: each behind its step, with every kind of tokenizer, at train and at resume'

# What the tokenizer does not know counts with its bytes.
printf '\347\216\213\345\233\275 the \347\216\213 king\n%.0s' 1 2 3 4 5 6 7 8 > chinese
succeeds 'eval of unknown words' "$GRADUS" eval sampled.words --input chinese --json
equal 'eval of unknown words: bytes' $(($(wc -c < chinese) - 6)) "$(json out bytes)"
equal 'eval of unknown words: half of them' 1 "$(awk -v rate="$(json out unknown_rate)" 'BEGIN { print (rate > 0.4 && rate < 0.6) }')"
grep -q '^warning .*of the tokens of chinese are unknown' err || fail 'eval of unknown words' 'a warning' "$(cat err)"
for verb in 'generate -p zebra -n 1' 'embed zebra -o zebra.npz' 'neighbors the --text chinese'; do
  "$GRADUS" ${verb%% *} sampled.words ${verb#* } > out 2> err
  grep -q '^warning .*of the tokens of .* are unknown' err || fail "$verb, of unknown words" 'a warning' "$(cat err)"
done
succeeds 'eval of known words' "$GRADUS" eval sampled.words --input text
grep -q unknown out err && fail 'eval of known words' 'nothing unknown' "$(cat out err)"
ok 'bits per byte count the bytes of unknown tokens, whose share is printed'

# A model records whether it was trained with the special tokens that its tokenizer adds; one from elsewhere has them.
succeeds 'tokenizer train' "$GRADUS" tokenizer train text --kind wordpiece --vocab-size 60 -o wordpiece.json -q
# shellcheck disable=SC2086
succeeds 'train wordpiece' "$GRADUS" train text -o wordpiece $size --tokenizer wordpiece.json --max-iters 5 --warmup 1 -q
grep -q '"add_special": false' wordpiece/config.json || fail 'config.json' 'add_special: false' "$(cat wordpiece/config.json)"
grep -q add_special char/config.json bpe/config.json && fail 'config.json where nothing is added' 'no word of it' "$(cat char/config.json)"
mkdir elsewhere older
cp wordpiece/model.safetensors wordpiece/tokenizer.json elsewhere
cp -r wordpiece/. older
python_free() { tr -d '\n' < wordpiece/config.json | sed 's/,  *"gradus": {[^}]*}//' ; }
python_free > elsewhere/config.json
grep -q gradus elsewhere/config.json && fail 'config.json from elsewhere' 'no key gradus' "$(cat elsewhere/config.json)"
for model in wordpiece elsewhere; do
  succeeds "embed $model" "$GRADUS" embed $model 'the king' --level token -o tokens.npz -q
  head -n 1 tokens.npz.tokens.jsonl > $model.first
  tail -n 1 tokens.npz.tokens.jsonl > $model.last
  succeeds "embed $model by words" "$GRADUS" embed $model 'the king' --level word -o tokens.npz -q
  equal "rows of $model by words" 2 "$(lines tokens.npz.tokens.jsonl)"
  succeeds "generate $model" "$GRADUS" generate $model -p 'the king' -n 1 --json -q
  json out prompt_tokens > $model.prompt
  succeeds "eval $model" "$GRADUS" eval $model --input text --json -q
  json out tokens > $model.tokens
  json out bytes > $model.bytes
done
equal 'the first row of a model from elsewhere' '{"text":0,"token":"[CLS]","id":2,"start":0,"end":0,"word":-1}' "$(cat elsewhere.first)"
equal 'the last row of a model from elsewhere' '{"text":0,"token":"[SEP]","id":3,"start":8,"end":8,"word":-1}' "$(cat elsewhere.last)"
grep -q '"the"' wordpiece.first || fail 'the first row of a model trained here' '"the"' "$(cat wordpiece.first)"
equal 'prompt of a model from elsewhere' $(($(cat wordpiece.prompt) + 1)) "$(cat elsewhere.prompt)"
equal 'tokens that eval predicts' $(($(cat wordpiece.tokens) + 1)) "$(cat elsewhere.tokens)"
equal 'bytes that eval predicts, the first token among them' "$(wc -c < text)" "$(cat elsewhere.bytes)"
ok 'special tokens: a model trained here goes on as it was trained, one from elsewhere gets what its tokenizer adds'

# Generation.
generate() { "$GRADUS" generate "$@" 2> err || fail "generate $*" 'exit 0' "$(cat err)"; }
generate bpe -p 'the king' -n 40 --temp 0 -q > greedy
equal 'generate: the prompt comes first' 'the king' "$(head -c 8 greedy)"
generate bpe -p 'the king' -n 40 --temp 0 -q --threads 1 > again
same_file 'greedy, one thread' greedy again
cp bpe/tokenizer.json own.json
generate bpe -p 'the king' -n 40 --temp 0 -q --tokenizer own.json > again
same_file 'generate --tokenizer, the same in another place' greedy again
refuses 1 "bpe: the tokenizer must have the model's vocabulary; char/tokenizer.json has" \
  "$GRADUS" generate bpe -p 'the king' -n 1 --tokenizer char/tokenizer.json
generate bpe -p 'the king' -n 40 --top-k 1 -q > again
same_file '--top-k 1 is greedy' greedy again
generate bpe -p 'the king' -n 40 --seed 5 -q > five
generate bpe -p 'the king' -n 40 --seed 5 -q --threads 4 > again
same_file 'sampling, four threads' five again
generate bpe -p 'the king' -n 40 --seed 6 -q > six
cmp -s five six && fail 'another seed' 'another text' "$(cat six)"
generate bpe -p 'the king' -n 40 --seed 5 --json > out
has_keys 'generate --json' out text tokens stop_reason prompt_tokens
for seed in 1 2 3; do
  # Random bytes: inside a character, and none.
  generate bpe -p 'the' -n 40 --temp 100 --top-k 0 --top-p 1 --min-p 0 --seed $seed --json > out
  has_keys 'generate --json of any bytes' out text ids tokens
  grep -q '"text":"' out || fail 'generate --json of any bytes' 'a text' "$(cat out)"
done
generate bpe -p 'the' -n 3 --show-probs 2 > out
equal '--show-probs: a line a token' 3 "$(lines out)"
generate bpe -p '' -n 3 -q > out
generate bpe -p $'\377\200 raw' -n 3 -q > out
equal 'a prompt that is not UTF-8 comes back as it is' "$(printf '\377\200 raw' | od -An -tx1)" "$(head -c 6 out | od -An -tx1)"
generate bpe -p '[a, b]' -n 0 -q > out
equal 'a prompt in brackets' '[a, b]' "$(cat out)"
generate char -p 'the king' -n 200 --temp 0 -q > out
equal 'past the window' 208 "$(tr -d '\n' < out | wc -c)"
stop=$(cut -c12-14 greedy | head -n 1)
if [ -n "$stop" ]; then
  generate bpe -p 'the king' -n 40 --temp 0 -q --stop "$stop" > out
  [ "$(wc -c < out)" -lt "$(wc -c < greedy)" ] || fail '--stop' "to end before '$stop'" "$(cat out)"
  tail -c +9 out | grep -qF -- "$stop" && fail '--stop' "no '$stop'" "$(cat out)"
fi
ok 'generate: greedy and seeded texts do not depend on threads; any prompt; stop texts; probabilities'

# Prompts from files, byte for byte: their line ends, zeros and bytes that are no text.
printf 'the king\n\0\377 went \n' > prompt
printf 'the king' > plain
: > nothing_in
generate bpe -f prompt -n 0 -q > out
{ cat prompt; echo; } > expected
same_file 'generate -f: the prompt' expected out
generate bpe -p 'the king' -n 9 --seed 3 -q > expected
generate bpe -f plain -n 9 --seed 3 -q > out
same_file 'generate -f' expected out
generate bpe -f - -n 9 --seed 3 -q < plain > out
same_file 'generate -f -' expected out
mkfifo prompts
cat plain > prompts &
generate bpe -f prompts -n 9 --seed 3 -q > out
same_file 'generate -f of a pipe' expected out
generate bpe -p '' -n 9 --seed 3 -q > expected
generate bpe --file nothing_in -n 9 --seed 3 -q > out
same_file 'generate -f of an empty file' expected out
refuses 1 'nothing_in: generate: the prompt must have at least one token' "$GRADUS" generate char -f nothing_in -n 1
refuses 1 'standard input: generate: the prompt must have 1 to block_size tokens|block_size is 32' "$GRADUS" generate bpe -f - -n 1 < text
refuses 1 'text: generate: the prompt must have 1 to block_size tokens; it has' "$GRADUS" generate char -f text -n 1
refuses 1 "prompt: |'" "$GRADUS" generate char -f prompt -n 1
refuses 1 'none: cannot be opened' "$GRADUS" generate char -f none -n 1
refuses 1 'char: ' "$GRADUS" generate char -f char -n 1
refuses 2 'give -p or -f, not both' "$GRADUS" generate bpe -f plain -p 'the king' -n 1
refuses 2 'give -p or -f, not both' "$GRADUS" generate bpe -f plain -p '' -n 1
refuses 2 '-f needs a value; it is empty' "$GRADUS" generate bpe -f '' -n 1
ok 'generate -f: files, pipes and standard input are prompts byte for byte, and named in errors'

# Several continuations: each what it is in any company, the first that of a single one.
generate bpe -p 'the king' -n 40 --seed 5 --json > expected
generate bpe -p 'the king' -n 40 --seed 5 --num-samples 3 --json --threads 1 > three
generate bpe -p 'the king' -n 40 --seed 5 --num-samples 19 --json --threads 2 > many
equal 'generate --num-samples: an object a line' '3 19' "$(lines three) $(lines many)"
head -n 3 many > out
same_file 'three of nineteen' three out
sed -n 's/^{"sample":0,/{/p' three > out
same_file 'the first of several' expected out
equal 'their numbers' "$(seq -s ' ' 0 18)" "$(sed 's/^{"sample":\([0-9]*\),.*/\1/' many | xargs)"
equal 'all differ' 19 "$(sed 's/"sample":[0-9]*,//' many | sort -u | wc -l)"
generate bpe -p 'the king' -n 40 --seed 5 -q > expected
generate bpe -p 'the king' -n 40 --seed 5 --num-samples 2 -q > out
equal 'generate --num-samples as text' '--- sample 0|--- sample 1' "$(grep '^--- ' out | paste -sd'|')"
sed '1d; /^--- sample 1$/,$d' out > again
same_file 'the first of two' expected again
sed -n '/^--- sample 1$/,$p' out | sed 1d | head -c 8 > again
equal 'the prompt begins each' 'the king' "$(cat again)"
generate bpe -p 'the king' -n 3 --seed 5 --show-probs 2 -q > expected
generate bpe -p 'the king' -n 3 --seed 5 --show-probs 2 --num-samples 2 -q > out
equal 'generate --num-samples --show-probs: lines' 8 "$(lines out)"
sed -n 2,4p out > again
same_file 'the first of two, with probabilities' expected again
refuses 2 '--num-samples must be in [1, 1000000]; it is 0' "$GRADUS" generate bpe -p the --num-samples 0
ok 'generate --num-samples: each has draws of its own and does not depend on how many there are'

# Embeddings.
succeeds 'embed npz' "$GRADUS" embed bpe 'the king went' 'sea' '[a, b]' --level token -o out.npz
rows=$(lines out.npz.tokens.jsonl)
grep -q "$rows rows of 32 from 4 layers" err || fail embed "to say $rows rows of 32 from 4 layers" "$(cat err)"
while read -r line; do
  echo "$line" > line
  has_keys tokens.jsonl line text token id start end
done < out.npz.tokens.jsonl
equal 'texts' '0 1 2' "$(sed 's/.*"text":\([0-9]*\).*/\1/' out.npz.tokens.jsonl | sort -u | xargs)"
if command -v python3 > /dev/null && python3 -c 'import numpy' 2> python_error; then
  python3 - "$rows" << 'END' || fail 'npz' 'arrays as described' 'see above'
import json, sys, numpy
arrays = numpy.load("out.npz")
rows = int(sys.argv[1])
assert sorted(arrays) == ["final", "layer_0", "layer_1", "layer_2", "meta", "offsets"], sorted(arrays)
for name in ("layer_0", "layer_1", "layer_2", "final"):
    assert arrays[name].shape == (rows, 32) and arrays[name].dtype == numpy.float32, name
assert arrays["offsets"].dtype == numpy.int64 and arrays["offsets"].tolist()[::3] == [0, rows]
meta = json.loads(arrays["meta"].tobytes())
assert set(meta) >= {"model_sha256", "level", "pooling", "layers", "normalized"}, meta
END
else
  # A zip archive lists its members' names at its end.
  for name in layer_0 layer_1 layer_2 final offsets meta; do
    grep -qa "$name.npy" out.npz || fail npz "an array $name" "$(tail -c 400 out.npz | strings)"
  done
fi
succeeds 'embed safetensors' "$GRADUS" embed bpe 'the king went' 'sea' '[a, b]' --level token -o out.safetensors -q
same_file 'rows of both formats' out.npz.tokens.jsonl out.safetensors.tokens.jsonl
succeeds 'info of the vectors' "$GRADUS" info out.safetensors
for word in "layer_0 .*($rows, 32)" "final .*($rows, 32)" 'offsets .*(4)' 'level: token'; do
  grep -q "$word" out || fail 'info of the vectors' "$word" "$(cat out)"
done
# The same text, alone and on another number of threads: the same bytes.
succeeds 'embed alone' "$GRADUS" embed bpe 'the king went' --level sentence -o alone.safetensors -q --threads 1
succeeds 'embed together' "$GRADUS" embed bpe 'the king went' 'and the great sea and the small land' --level sentence -o both.safetensors -q --threads 4
printf 'the king went\r\nand the great sea and the small land\n' > list
succeeds 'embed --input' "$GRADUS" embed bpe --input list --level sentence -o list.safetensors -q
same_file 'embed --input' both.safetensors list.safetensors
# `row FILE`: the first row of layer_0 (32 floats), by where the header puts it.
row() {
  local header begin
  header=$(od -An -tu8 -N 8 "$1" | tr -d ' ')
  begin=$(head -c $((header + 8)) "$1" | sed 's/.*"layer_2":{[^}]*"data_offsets":\[\([0-9]*\),.*/\1/' | tail -n 1)
  od -An -tx1 -j $((8 + header + begin)) -N 128 "$1"
}
equal 'a text alone and in company' "$(row alone.safetensors)" "$(row both.safetensors)"
for layers in 0 final -1 0,final all; do
  succeeds "--layers $layers" "$GRADUS" embed bpe 'the king' --layers $layers -o layers.npz -q
done
succeeds 'embed --compare' "$GRADUS" embed bpe 'the left hand' 'he left' --compare left -q
equal 'embed --compare: a line a layer' 'layer_0 layer_1 layer_2 final' "$(awk '{ print $1 }' out | xargs)"
succeeds 'embed on standard output' "$GRADUS" embed bpe 'the king went' 'sea' '[a, b]' --level token --layers 0,final -q
equal 'embed on standard output: a line a row' "$rows" "$(lines out)"
head -n 1 out > row.json
has_keys 'a row on standard output' row.json text token id start end word layer_0 final
succeeds 'embed folder' "$GRADUS" embed bpe 'the king went' 'sea' '[a, b]' --level token -o rows/ -q
same_file 'the rows of a folder' rows/tokens.jsonl out.npz.tokens.jsonl
equal 'the files of a folder' 'final.npy layer_0.npy layer_1.npy layer_2.npy meta.json offsets.npy tokens.jsonl' "$(ls rows | xargs)"
# Ids go around the tokenizer, and need none.
mkdir untokenized && cp bpe/config.json bpe/model.safetensors untokenized
sed 's/.*"id":\([0-9]*\).*/\1/' out.npz.tokens.jsonl | head -n "$(grep -c '"text":0' out.npz.tokens.jsonl)" | paste -sd, | sed 's/.*/{"ids":[&]}/' > ids.jsonl
succeeds 'embed ids' "$GRADUS" embed untokenized --input ids.jsonl --layers final --level sentence -q
cp out from_ids
succeeds 'embed the text of these ids' "$GRADUS" embed bpe 'the king went' --layers final --level sentence -q
equal 'embed ids' "$(sed 's/.*"final"/"final"/' out)" "$(sed 's/.*"final"/"final"/' from_ids)"
succeeds 'embed ids in parts' "$GRADUS" embed untokenized --input ids.jsonl --layers final --level sentence --chunk 2
grep -q 'lines of ids are read as they are' err || fail 'embed ids in parts' 'a note' "$(cat err)"
same_file 'embed ids in parts' out from_ids
printf 'the king\tsea\n' > pair.tsv
succeeds 'embed a pair' "$GRADUS" embed bpe --input pair.tsv --pair --level word --layers 0 -q
equal 'the words of a pair' 'the:0 king:0 sea:1' "$(sed 's/.*"token":"\([a-z]*\)".*"segment":\([01]\).*/\1:\2/' out | xargs)"
ok 'embed: npz and safetensors, rows described, the same bits alone and in company'

# Words: the table is kept, and made again for another model.
succeeds neighbors "$GRADUS" neighbors bpe king sea -k 3
cp out neighbors.first
cp bpe/words.safetensors words.first
equal 'neighbors: a line a word' 'king sea' "$(awk '{ print $1 }' out | xargs)"
equal 'neighbors: three each' 7 "$(head -n 1 out | wc -w)"
awk '{ for (i = 2; i < NF; i += 2) if ($i == $1) exit 1 }' out || fail 'neighbors' 'no word among its own' "$(cat out)"
mv text text.away
succeeds 'neighbors again, without the text' "$GRADUS" neighbors bpe king sea -k 3
same_file 'neighbors twice' neighbors.first out
same_file 'the kept table' words.first bpe/words.safetensors
mv text.away text
succeeds 'neighbors of a layer' "$GRADUS" neighbors bpe king --layer 0 --json
is_json out || fail 'neighbors --json' 'one JSON object' "$(cat out)"
succeeds 'neighbors --text' "$GRADUS" neighbors bpe king --text text -k 3
same_file 'another text keeps nothing' words.first bpe/words.safetensors
succeeds 'training on' "$GRADUS" resume bpe --max-iters 32 -q
succeeds 'neighbors of another model' "$GRADUS" neighbors bpe king -k 3
cmp -s words.first bpe/words.safetensors && fail 'neighbors of another model' 'a new table' 'the old one'
ok 'neighbors: the table of words is kept beside the model, and made again for another'

# Fine-tuning.
make_text 200 77 > more
succeeds 'train --init' "$GRADUS" train more -o tuned --init model:bpe --max-iters 5 --batch-size 4 --learning-rate 1e-4 -q
same_file 'fine-tuning keeps the tokenizer' bpe/tokenizer.json tuned/tokenizer.json
cmp -s bpe/model.safetensors tuned/model.safetensors && fail 'fine-tuning' 'other weights' 'the same file'
succeeds 'train --init, no step' "$GRADUS" train more -o copied --init model:bpe --max-iters 0 -q
succeeds 'eval of the base' "$GRADUS" eval bpe --input more --json
base=$(json out loss)
succeeds 'eval of the copy' "$GRADUS" eval copied --input more --json
equal 'fine-tuning begins with the model it was given' "$base" "$(json out loss)"
succeeds 'info of the tuned model' "$GRADUS" info tuned --json
equal 'the tuned model is of the same family' 'llama run' "$(json out kind)"
refuses 2 '--init needs the shape of bpe' "$GRADUS" train more -o tuned2 --init model:bpe --n-layer 3
refuses 2 '--init takes that model' "$GRADUS" train more -o tuned2 --init model:bpe --tokenizer char
# A model whose vocabulary is padded to a multiple of 8 stays so.
tiny="--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --warmup 1"
for vocab in 262 264; do
  # shellcheck disable=SC2086
  succeeds "a vocabulary of $vocab" "$GRADUS" train text -o "of$vocab" --tokenizer "bpe:$vocab" $tiny --max-iters 3 -q
done
mkdir padded
cp of264/config.json of264/model.safetensors padded
cp of262/tokenizer.json padded
succeeds 'train --init of a padded model' "$GRADUS" train more -o from_padded --init model:padded --batch-size 2 --warmup 1 --max-iters 3 -q
grep -q '"vocab_size": 264' from_padded/config.json || fail 'train --init of a padded model' 'its vocabulary' "$(cat from_padded/config.json)"
same_file 'a padded model keeps its tokenizer' padded/tokenizer.json from_padded/tokenizer.json
succeeds 'resume of a padded run' "$GRADUS" resume from_padded --max-iters 4 -q
ok 'train --init keeps tokenizer and shape, and begins with the given weights'

succeeds info "$GRADUS" info char
for word in 'gpt run' '2 layers' 'width 32' 'transformer.wte.weight' '30 steps'; do
  grep -q "$word" out || fail info "$word" "$(cat out)"
done
succeeds 'info --json' "$GRADUS" info char --json
has_keys 'info --json' out kind config parameters embedding tensors history
succeeds 'info of a file' "$GRADUS" info char/state.safetensors
grep -q 'm.token_embedding.weight' out || fail 'info of a file' m.token_embedding.weight "$(cat out)"
# info_of WHAT FILE TEXT...: says all of these, and gives one JSON object.
info_of() { info_exits 0 "$@"; }
# info_exits CODE WHAT PATH TEXT...
info_exits() {
  local code=$1 text
  shift
  "$GRADUS" info "$2" > out 2> err
  equal "info of $1: exit" "$code" $?
  for text in "${@:3}"; do grep -qF -- "$text" out || fail "info of $1" "$text" "$(cat out)"; done
  "$GRADUS" info "$2" --json > out 2> err
  equal "info of $1, --json: exit" "$code" $?
  is_json out || fail "info of $1, --json" 'one JSON object' "$(head -c 300 out)"
}
info_of 'a tokenizer.json' bpe/tokenizer.json 'tokenizer, bpe:300, a tokenizer.json' '300, 1 of them special, any text comes back' '<|endoftext|>'
has_keys 'info of a tokenizer, --json' out tokenizer format vocab_size tokens special_tokens lossless
succeeds 'a vocab.txt' "$GRADUS" tokenizer train text --kind wordpiece --vocab-size 60 -o wordpiece.json -q
mkdir words
succeeds 'a vocab.txt' "$GRADUS" convert wordpiece.json -o words/vocab.txt -q
info_of 'a vocab.txt' words/vocab.txt 'a vocab.txt' '60, 5 of them special, text is normalised' '  2  [CLS]'
info_of "a tokenizer's folder" words 'a vocab.txt'
succeeds 'a .npy' "$GRADUS" tokenizer encode bpe 'the king' -o ids.npy -q
info_of 'a .npy' ids.npy 'kind     npy' 'I32'
info_of 'a .npz' out.npz 'kind     npz' 'layer_0' 'I64  (4)'
# A tensor of a type of tomorrow: listed, with its bytes.
header='{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F4","shape":[2,3],"data_offsets":[8,11]}}'
{
  printf "\\$(printf %03o ${#header})\\0\\0\\0\\0\\0\\0\\0%s" "$header"
  printf 01234567abc
} > unknown.safetensors
info_of 'a tensor of an unknown type' unknown.safetensors 'a  ' 'F4  (2, 3)  3 B of a type that is not known here'
# A GGUF file: numbers of eight bytes, strings after their length.
n8() { printf "\\$(printf %03o "$1")\\0\\0\\0\\0\\0\\0\\0"; }
n4() { printf "\\$(printf %03o "$1")\\0\\0\\0"; }
s() { n8 ${#1} && printf %s "$1"; }
{
  printf GGUF && n4 3 && n8 2 && n8 3
  s general.architecture && n4 8 && s "$(printf 'gpt\033[2J\nkind')"
  s tokenizer.ggml.tokens && n4 9 && n4 8 && n8 10 && for token in a b c d e f g h i j; do s $token; done
  s rate && n4 6 && printf '\254\305\047\067'
  s a && n4 2 && n8 3 && n8 2 && n4 0 && n8 0
  s b && n4 2 && n8 32 && n8 4 && n4 20 && n8 32
} > head.gguf
{
  cat head.gguf
  head -c $(((32 - $(wc -c < head.gguf) % 32) % 32 + 32 + 72)) /dev/zero
} > model.gguf
info_of 'a GGUF file' model.gguf 'GGUF of version 3, 134 elements, 96 B' 'F32  (2, 3)' 'IQ4_NL  (4, 32)  72 B of a type that cannot be read' \
  'general.architecture: gpt\x1b[2J\nkind' 'tokens: 10 of string: ["a","b","c","d","e","f","g","h"] …' 'rate: 1e-05'
has_keys 'info of a GGUF file, --json' out kind version elements metadata tensors first
head -c 400 model.gguf > cut.gguf
refuses 1 'cut.gguf: the file is truncated: tensor b takes bytes' "$GRADUS" info cut.gguf
# A model in parts, one of them a pointer, one missing.
mkdir parts
cp out.safetensors parts/model-00001-of-00003.safetensors
printf 'version https://git-lfs.github.com/spec/v1\nsize 9\n' > parts/model-00002-of-00003.safetensors
printf '{"metadata":{},"weight_map":{"x":"model-00001-of-00003.safetensors","y":"model-00002-of-00003.safetensors","z":"model-00003-of-00003.safetensors"}}' > parts/model.safetensors.index.json
for name in parts parts/model.safetensors.index.json; do
  info_exits 1 'a model in parts' $name 'a model in 3 parts' 'layer_0' 'model-00002-of-00003.safetensors: must be the file itself' \
    'model-00003-of-00003.safetensors: cannot be opened'
done
# A whole model in parts runs like the one file.
mkdir whole
cp char/config.json char/tokenizer.json whole/
cp char/model.safetensors whole/model-00001-of-00001.safetensors
"$GRADUS" info whole/model-00001-of-00001.safetensors --json | grep -o '"name":"[^"]*"' |
  sed 's/"name":\(.*\)/\1:"model-00001-of-00001.safetensors"/' | paste -sd, | sed 's/.*/{"weight_map":{&}}/' > whole/model.safetensors.index.json
info_of 'a model in parts, whole' whole 'parameters in 1 part' 'gpt model' 'transformer.wte.weight'
for name in char whole; do
  succeeds "generate, $name" "$GRADUS" generate $name -p the -n 20 --seed 1 -q
  cp out "$name.said"
  succeeds "embed, $name" "$GRADUS" embed $name 'the king' -o "$name.npz" -q
done
same_file 'generate from parts' char.said whole.said
same_file 'embed from parts' char.npz.tokens.jsonl whole.npz.tokens.jsonl
refuses 2 'whole/model-00001-of-00001.safetensors' "$GRADUS" embed whole 'the king' -o whole/model-00001-of-00001.safetensors
info_of 'one part' parts/model-00001-of-00003.safetensors 'part 1 of 3 of a model'
refuses 1 'text: must be a .safetensors, .gguf, .npz or .npy file, or a tokenizer' "$GRADUS" info text
mkdir nothing
refuses 1 'nothing: must be a run folder|it holds no model.safetensors' "$GRADUS" info nothing
ok 'info of a run, of files of arrays, of tokenizers and of a model in parts'

# The plan.
# shellcheck disable=SC2086
succeeds 'train --dry-run' "$GRADUS" train text -o dry $size --tokenizer char --max-iters 100 --dry-run --json
has_keys 'train --dry-run --json' out parameters peak_memory_bytes seconds steps tokens
equal 'steps' 100 "$(json out steps)"
equal 'tokens' $((100 * 4 * 32)) "$(json out tokens)"
parameters=$(json out parameters)
[ ! -e dry ] || fail '--dry-run' 'to write nothing' "$(ls -R dry)"
succeeds 'info --json' "$GRADUS" info char --json
equal 'parameters of plan and model' "$(json out parameters)" "$parameters"
# shellcheck disable=SC2086
succeeds 'train --time' "$GRADUS" train text -o timed $size --tokenizer char --time 1s --eval-interval 0 --json -q
equal '--time is a number of steps' "$(lines timed/metrics.jsonl)" "$(json out steps)"
ok '--dry-run plans and writes nothing; --time becomes a number of steps'

succeeds 'doctor --json' "$GRADUS" doctor --json
has_keys 'doctor --json' out cores isa_available isa_chosen threads
succeeds 'doctor' "$GRADUS" doctor
succeeds 'bench gemm' "$GRADUS" bench gemm --m 64 --n 64 --k 64 --form nn --threads 1 --json
has_keys 'bench gemm --json' out results m n k form gflops fraction_of_peak peak_gflops
succeeds 'bench gemm --only' "$GRADUS" bench gemm --only small
equal 'bench gemm --only: a row' 1 "$(lines out)"
# shellcheck disable=SC2086
succeeds 'bench train' "$GRADUS" bench train $size --vocab-size 100 --steps 5 --json -q
has_keys 'bench train --json' out tokens_per_second step_seconds fraction_of_peak peak_gflops peak_rss_bytes
has_keys 'bench train --json' out planned_bytes samples disturbed
succeeds 'bench gemm over weights in turns' "$GRADUS" bench gemm --m 2 --n 64 --k 64 --rotate-mb 1 --json
has_keys 'bench gemm --rotate-mb --json' out weights gflops fraction_of_limit limit read_gb_per_second
equal 'weights of 1 MB' 62 "$(sed 's/.*"weights":\([0-9]*\).*/\1/' out)"
tiny='--n-layer 1 --n-head 2 --n-embd 16 --block-size 16'
# shellcheck disable=SC2086
succeeds 'bench generate' "$GRADUS" bench generate $tiny --vocab-size 50 --prompt-tokens 9 --tokens 7 --json -q
has_keys 'bench generate --json' out prompt_tokens_per_second prompt_fraction_of_peak decode_tokens_per_second \
  decode_fraction_of_bandwidth weight_bytes cache_bytes_per_token
# Of llama with a width of 16: the output layer, 4·16² of attention, 3·16·64 of the feed-forward layer, and three norms.
equal 'bench generate: the weights of a token' $((4 * (64 * 16 + 4 * 256 + 3 * 16 * 64))) "$(json out weight_bytes)"
# shellcheck disable=SC2086
# A model out again: a folder that other programs open, the same to this one, rounded where that is asked for.
printf 'mine\n' > char/LICENSE.txt
succeeds 'convert --to hf' "$GRADUS" convert char -o exported/ --to hf
grep -q 'last layer 0 and of the logits 0 of the root mean square' err || fail 'convert --to hf' 'no difference' "$(cat err)"
equal 'convert --to hf: files' 'LICENSE.txt README.md config.json model.safetensors tokenizer.json tokenizer_config.json' "$(ls exported | xargs)"
grep -q '^base_model: "char"' exported/README.md || fail 'convert --to hf' 'base_model' "$(head -n 5 exported/README.md)"
grep -q '^| tokenizer | char' exported/README.md || fail 'convert --to hf' "the table of the run's card" "$(cat exported/README.md)"
grep -q 'gradus resume\|metrics.jsonl' exported/README.md && fail 'convert --to hf' 'a card that names no file of the run' "$(cat exported/README.md)"
succeeds 'what is exported runs' "$GRADUS" generate exported -p the -n 5 --temp 0 -q
cp out from_exported
succeeds 'what it was made of' "$GRADUS" generate char -p the -n 5 --temp 0 -q
same_file 'convert --to hf' out from_exported
rm char/LICENSE.txt
succeeds 'convert --dtype bf16' "$GRADUS" convert char -o halves --to hf --dtype bf16 --json -q
has_keys 'convert --to hf --json' out folder files texts hidden_state_difference logits_difference
grep -q '"torch_dtype": "bfloat16"' halves/config.json || fail 'convert --dtype bf16' 'its type' "$(cat halves/config.json)"
[ "$(wc -c < halves/model.safetensors)" -lt "$(wc -c < exported/model.safetensors)" ] || fail 'convert --dtype bf16' 'a smaller file' "$(ls -l halves)"
refuses 2 'exported must be a new folder or an empty one' "$GRADUS" convert char -o exported --to hf
mkdir strange && cp char/model.safetensors char/tokenizer.json strange
sed 's/^{/{"gradus":{"causal":false},/' char/config.json > strange/config.json
refuses 2 'has no model like this one: {"causal":false}' "$GRADUS" convert strange -o never --to hf
[ ! -e never ] || fail 'a refused convert' 'nothing' "$(ls never)"
refuses 2 'text must be a new folder or an empty one' "$GRADUS" convert char -o text --to hf
mkdir vacant
succeeds 'convert into an empty folder' "$GRADUS" convert char -o vacant --to hf -q
same_file 'convert into an empty folder' exported/model.safetensors vacant/model.safetensors
mkdir led
ln -s led leads
succeeds 'convert through a link' "$GRADUS" convert char -o leads --to hf -q
[ -L leads ] && [ -e led/model.safetensors ] || fail 'convert through a link' 'the link, and files where it leads' "$(ls -l leads led)"
odd=$(printf 'odd\377name')
cp -r bpe "$odd"
succeeds 'convert of a name that is not UTF-8' "$GRADUS" convert "$odd" -o from_odd --to hf -q
grep -q 'base_model: "odd\\ufffdname"\|base_model: "odd.*name"' from_odd/README.md || fail 'a name that is not UTF-8' 'base_model' "$(head -n 3 from_odd/README.md)"
# Interrupted, it leaves nothing; and a pipe is not waited for.
for to in hf sentence-transformers; do
  timeout --foreground -s INT -k 20 0.01 "$GRADUS" convert bpe -o "cut_$to" --to $to -q 2> err
  [ ! -e "cut_$to" ] || [ -e "cut_$to/README.md" ] || fail "convert --to $to, interrupted" 'all or nothing' "$(ls "cut_$to")"
  [ -z "$(find . -maxdepth 1 -name "cut_$to.*.partial")" ] || fail "convert --to $to, interrupted" 'nothing beside it' "$(ls)"
done
: > nothing.gguf
for verb in 'generate text -p x' 'info nothing.gguf' 'convert text -o never.gguf --to gguf' 'embed nothing.gguf x' 'eval char/model.safetensors --input text'; do
  # shellcheck disable=SC2086
  refuses 1 '' "$GRADUS" $verb
  if grep -q 'Not a directory' err; then fail "gradus $verb" 'what is wanted' "$(cat err)"; fi
done
mkfifo waiting
for verb in 'generate waiting -p x' 'embed waiting x' 'info waiting' 'convert waiting -o never.gguf --to gguf' 'eval waiting --input text'; do
  # shellcheck disable=SC2086
  refuses 1 'waiting: must be a regular file; it is a device, pipe or socket' timeout 20 "$GRADUS" $verb
done
ok 'convert --to hf: a folder that is read back before it is done'

# The same as one file of llama.cpp.
succeeds 'convert --to gguf' "$GRADUS" convert char -o char.gguf --to gguf
grep -q '^note   llama.cpp has no tokenizer like this char' err || fail 'convert --to gguf' 'that llama.cpp has no such tokenizer' "$(cat err)"
succeeds 'convert --to gguf, bpe' "$GRADUS" convert bpe -o bpe.gguf --to gguf --json
has_keys 'convert --to gguf --json' out file files texts hidden_state_difference logits_difference
if grep -q '^note' err; then fail 'convert --to gguf, bpe' 'no note' "$(cat err)"; fi
for model in char bpe; do
  succeeds "generate from $model.gguf" "$GRADUS" generate $model.gguf -p the -n 5 --temp 0 -q
  cp out from_file
  succeeds "generate from $model" "$GRADUS" generate $model -p the -n 5 --temp 0 -q
  same_file "generate from $model.gguf" out from_file
done
succeeds 'convert --to gguf --dtype bf16' "$GRADUS" convert bpe -o half.gguf --to gguf --dtype bf16 -q
[ "$(wc -c < half.gguf)" -lt "$(wc -c < bpe.gguf)" ] || fail 'convert --dtype bf16' 'a smaller file' "$(ls -l ./*.gguf)"
info_of 'a GGUF file that was written' bpe.gguf 'GGUF of version 3' 'tokens   bpe:'
cp bpe.gguf kept.gguf
refuses 2 'the name must end in .gguf' "$GRADUS" convert char -o char.bin --to gguf
refuses 2 '--dtype q8_0 is blocks of GGUF files' "$GRADUS" convert char -o never --to hf --dtype q8_0
refuses 2 'bpe.gguf must not name a file that is read' "$GRADUS" convert bpe.gguf -o bpe.gguf --to gguf
refuses 2 'without --to' "$GRADUS" convert bpe -o t.json --tokenizer bpe/tokenizer.json
refuses 2 'cannot say what this model is: ' "$GRADUS" convert strange -o bpe.gguf --to gguf
same_file 'a file that a refused convert would have replaced' bpe.gguf kept.gguf
ok 'convert --to gguf: one file that is read back before it takes its place'

# A file of llama2.c: seven sizes, then weights; here all 0, so that every token is as likely as another.
succeeds 'a SentencePiece tokenizer' "$GRADUS" tokenizer train text --kind spm-bpe --vocab-size 300 --spaces sentencepiece -o pieces.json -q
succeeds 'as a SentencePiece model' "$GRADUS" convert pieces.json -o pieces.model -q
{
  printf '\4\0\0\0\6\0\0\0\1\0\0\0\2\0\0\0\1\0\0\0\054\1\0\0\020\0\0\0'
  head -c $((4 * (300 * 4 + 4 + 16 + 8 + 8 + 16 + 4 + 24 * 3 + 4 + 16 * 2))) /dev/zero
} > stories.bin
info_of 'a file of llama2.c' stories.bin 'llama2.c, ' 'it has no tokenizer' 'F32  (2, 4)'
refuses 1 'stories.bin: must have a tokenizer; it has none|own with --tokenizer FILE' "$GRADUS" generate stories.bin -p the -n 3
succeeds 'generate from a file of llama2.c' "$GRADUS" generate stories.bin --tokenizer pieces.model -p the -n 3 --json
grep -q 'each text begins with <s>' err || fail 'generate from a file of llama2.c' 'a note of <s>' "$(cat err)"
succeeds 'the tokens of the prompt' "$GRADUS" tokenizer encode pieces.model the -q
equal '<s> and the prompt' "$(($(wc -w < out) + 1))" "$("$GRADUS" generate stories.bin --tokenizer pieces.model -p the -n 3 --json -q | sed 's/.*"prompt_tokens":\([0-9]*\).*/\1/')"
succeeds 'explain of a file of llama2.c' "$GRADUS" explain stories.bin the --tokenizer pieces.model -q
head -c 900 stories.bin > cut.bin
refuses 1 'cut.bin: a llama2.c file of dim 4' "$GRADUS" info cut.bin
ok 'a file of llama2.c is a model without a tokenizer'

# And with what sentence-transformers has behind a model.
succeeds 'convert --to sentence-transformers' "$GRADUS" convert bpe -o sentences --to sentence-transformers
grep -q '^note   the model says nothing of how a text becomes one vector; the mean' err || fail 'convert --to sentence-transformers' 'a note' "$(cat err)"
equal 'its files' '1_Pooling README.md config.json config_sentence_transformers.json model.safetensors modules.json sentence_bert_config.json tokenizer.json tokenizer_config.json' "$(ls sentences | xargs)"
succeeds 'embed of it' "$GRADUS" embed sentences 'the king' -q
cp out from_folder
succeeds 'embed of its origin' "$GRADUS" embed bpe 'the king' -q
same_file 'embed of a folder for sentence-transformers' out from_folder
sed -i 's/"pooling_mode_mean_tokens": true/"pooling_mode_lasttoken": true/; s/"pooling_mode_lasttoken": false/"pooling_mode_mean_tokens": false/' sentences/1_Pooling/config.json
succeeds 'the pooling goes into a GGUF file' "$GRADUS" convert sentences -o pooled.gguf --to gguf -q
succeeds 'embed of it' "$GRADUS" embed pooled.gguf 'the king' --layers -1
cp out from_file
succeeds 'embed --pooling' "$GRADUS" embed bpe 'the king' --layers -1 --pooling last -q
same_file 'the pooling that a GGUF file declares' out from_file
succeeds 'the pooling comes back' "$GRADUS" convert pooled.gguf -o pooled --to sentence-transformers -q
grep -q '"pooling_mode_lasttoken": true' pooled/1_Pooling/config.json || fail 'pooled' 'the last token' "$(cat pooled/1_Pooling/config.json)"
info_of 'a folder for sentence-transformers' sentences 'kind     llama model' 'vectors  32 values a text, pooling last' '  model.norm.weight'
has_keys 'info of a folder for sentence-transformers' out kind config tensors sentences
info_of 'a GGUF file that pools' pooled.gguf 'vectors  32 values a text, pooling last'
cp sentences/1_Pooling/config.json kept && printf '{"word_embedding_dimension":32,"pooling_mode":"middle"}' > sentences/1_Pooling/config.json
info_of 'a folder with modules that are not known' sentences 'kind     llama model' 'error    sentences/1_Pooling/config.json: ' middle
mv kept sentences/1_Pooling/config.json
ok 'convert --to sentence-transformers: the modules behind the model'

succeeds 'bench embed of a model' "$GRADUS" bench embed bpe.gguf --texts 3 --tokens 8 --short-tokens 2 --json -q
has_keys 'bench embed of a model' out texts_per_second fraction_of_peak short_seconds short_fraction_of_peak
equal 'its parameters' "$("$GRADUS" info bpe --json | sed 's/.*"parameters":\([0-9]*\).*/\1/')" "$(json out parameters)"
succeeds 'bench generate of a model' "$GRADUS" bench generate bpe --prompt-tokens 5 --tokens 3 --json -q
has_keys 'bench generate of a model' out prompt_tokens_per_second decode_tokens_per_second weight_bytes
refuses 2 '--n-layer has no effect with a model' "$GRADUS" bench generate bpe --n-layer 2
refuses 2 '--vocab-size has no effect with a model' "$GRADUS" bench generate bpe --vocab-size 20
refuses 2 '--one-hot runs no model' "$GRADUS" bench embed bpe --one-hot
refuses 2 'in [1, --block-size]; they are 8 and 200' "$GRADUS" bench embed bpe --tokens 8 --short-tokens 200

succeeds 'bench embed' "$GRADUS" bench embed $tiny --texts 3 --tokens 8 --short-tokens 2 --json -q
has_keys 'bench embed --json' out texts_per_second fraction_of_peak short_seconds short_fraction_of_peak
succeeds 'bench embed --one-hot' "$GRADUS" bench embed --one-hot --n-embd 50 --texts 5 --tokens 7 --json -q
has_keys 'bench embed --one-hot --json' out equal_bits lookup_seconds product_seconds product_fraction_of_peak lookup_times_as_fast
equal 'bench embed --one-hot: both ways have the same bits' true "$(json out equal_bits)"
equal 'bench embed --one-hot: multiplications' $((35 * 256 * 50)) "$(json out multiply_adds)"
equal 'bench embed --one-hot: numbers copied' $((35 * 50)) "$(json out copied_numbers)"
succeeds 'bench embed --one-hot' "$GRADUS" bench embed --one-hot --texts 5 --tokens 7 -q
grep -q '^35 of 256 ids, width 384, lookup .* ms   equal bits, ' out || fail 'bench embed --one-hot' 'both times' "$(cat out)"
succeeds 'bench peak' "$GRADUS" bench peak --threads 1
grep -q '^f32 .* GFLOP/s' out || fail 'bench peak' 'a line for f32' "$(cat out)"
# shellcheck disable=SC2086
succeeds 'bench growth' "$GRADUS" bench growth $tiny --batch-size 1 --vocab-size 50 --only sequences --json -q
has_keys 'bench growth --json' out sequences step_seconds time_ratio planned_bytes peak_rss_bytes memory_ratio \
  bytes_for_one_more
equal 'bench growth: rows' '1 2 4 8' "$(grep -o '"sequences":[0-9]*' out | sed 's/.*://' | xargs)"
ok 'doctor and bench give the figures they promise'
