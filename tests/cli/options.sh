#!/usr/bin/env bash
# Every option of every verb reaches something: it changes what is printed or written, an option that the run stores, or
# a plan; or it is named here as one that must not. The options are those that each verb's --help lists: one without a
# row fails, and so does a row without its option.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"

# What a command leaves, without times, speeds and free memory: its stdout, and the files that it makes. Of safetensors
# only the numbers, for a file can name an option without obeying it; a run's README.md holds the command itself, and its
# state.safetensors times and stored options: see stores.
digest_of() {
  local file
  sed -E 's/"[a-z_]*(seconds|_per_second|rss_bytes|available_memory_bytes)":[^,}]*//g; /^memory /d' out
  find . -type f ! -name out ! -name err | sort | while read -r file; do
    echo "$file"
    case $file in
      */README.md | */state* | */profile.json) ;;
      *metrics.jsonl) sed -E 's/"(tokens_per_second|rss_bytes|eta_seconds)":[^,}]*//g' "$file" ;;
      *.safetensors) tail -c +$((9 + $(od -An -tu8 -N 8 "$file"))) "$file" | cksum ;;
      *) cksum "$file" ;;
    esac
  done
}

# digest VERB WORDS: of the command in a folder of its own, made once for each command; `given` holds what it can be
# given, `run` is a copy of the model for verbs that write in its folder.
digest() {
  local key
  key=$(echo "$*" | cksum | tr ' ' -)
  if [ ! -e "$digests/$key" ]; then
    rm -rf "$place" && mkdir "$place" && cd "$place" || exit 1
    ln -s "$work/given" given
    case $1 in resume | neighbors) cp -r given/model run ;; esac
    # shellcheck disable=SC2086
    "$GRADUS" $1 $2 > out 2> err || fail "gradus $1 $2" 'exit 0' "$(tail -c 600 err)"
    digest_of > "$digests/$key"
    [ -s err ] && touch "$digests/$key.said"
    cd "$work" || exit 1
  fi
  found=$digests/$key
}

row() { echo "$1 $2" >> "$rows"; }
# The words of a verb's table row; `without NAME [VALUE]` takes an option out of them.
without() { words=" $words "; words=${words/ $1${2:+ +([^ ])} / }; }
shopt -s extglob

# differ VERB OPTION WORDS OTHER-WORDS: the two commands leave something else.
differ() {
  row "$1" "$2"
  digest "$1" "$3"
  local first=$found
  digest "$1" "$4"
  cmp -s "$first" "$found" && fail "$1 $2" "another result of: $4" "what this gives: $3"
  return 0
}
# changes VERB OPTION [VALUE]: the option, in the place of the same one in `base` or added to it, changes the result.
changes() {
  local words=$base
  without "$2" "${3-}"
  if [ $# -gt 2 ]; then differ "$1" "$2" "$base" "$words $2 $3"; else differ "$1" "$2" "$words" "$words $2"; fi
}
# keeps VERB OPTION [VALUE]: it must not change the result.
keeps() {
  local words=$base
  row "$1" "$2"
  without "$2" "${3-}"
  digest "$1" "$words"
  local first=$found
  digest "$1" "$words $2 ${3-}"
  cmp -s "$first" "$found" || fail "$1 $2 ${3-}" 'to change no result' "$(diff "$first" "$found" | head -n 5)"
}
# quiet VERB: -q changes no result and leaves stderr empty.
quiet() {
  keeps "$1" --quiet
  [ ! -e "$found.said" ] || fail "$1 --quiet" 'nothing on stderr' 'something'
}
common() { keeps "$1" --threads 1; quiet "$1"; changes "$1" --json; }
# stores OPTION VALUE NAME: a run's state.safetensors holds it.
stores() {
  local words="$base $1 $2"
  row train "$1"
  digest train "$words"
  grep -qaE "\\\\\"$3\\\\\":[\\\"]*$2" "$place/run/state.safetensors" || fail "train $1" "$3 in the state" "$(head -c 900 "$place/run/state.safetensors")"
}
# bounded VERB OPTION VALUE TEXT: a value beyond its bounds is refused with the text.
bounded() {
  row "$1" "$2"
  # shellcheck disable=SC2086
  (cd "$place" && refuses 2 "$4" "$GRADUS" $1 ${base-} "$2" "$3") || exit 1
}
# sized VERB OPTION VALUE: the memory of a model beyond any machine, which the refusal names, is another one.
needed() {
  # shellcheck disable=SC2086
  "$GRADUS" $1 > sized.out 2> sized.err
  needs=$(grep -o 'it needs [^;]* and' sized.err) || fail "gradus $1" 'it needs ...' "$(cat sized.err)"
}
sized() {
  local words=$base first
  row "$1" "$2"
  without "$2" "$3"
  needed "$1 $base"
  first=$needs
  needed "$1 $words $2 $3"
  [ "$first" != "$needs" ] || fail "$1 $2" 'another plan' "$needs"
}
# fields VERB WORDS, then field OPTION KEY VALUE: what one run with all of them says it did.
fields() {
  verb=$1
  # shellcheck disable=SC2086
  (cd "$place" && succeeds "gradus $1 $2" "$GRADUS" $1 $2 && is_json out) || exit 1
  row "$verb" --json
}
field() {
  row "$verb" "$1"
  equal "$verb $1" "$3" "$(json "$place/out" "$2")"
}
# allows VERB OPTION WORDS [VALUE]: the command is refused without the option.
allows() {
  row "$1" "$2"
  rm -rf "$place" && mkdir "$place" && cd "$place" || exit 1
  ln -s "$work/given" given
  case $1 in resume | neighbors) cp -r given/model run ;; esac
  # shellcheck disable=SC2086
  "$GRADUS" $1 $3 > out 2> err && fail "gradus $1 $3" "to be refused without $2" 'exit 0'
  # shellcheck disable=SC2086
  succeeds "gradus $1 $3 $2 ${4-}" "$GRADUS" $1 $3 $2 ${4-}
  cd "$work" || exit 1
}
# reads_texts VERB WORDS: the verb reads the text FILE in its words as every verb does.
reads_texts() {
  differ "$1" --text-key "${2/FILE/given/lines.jsonl}" "${2/FILE/given/lines.jsonl} --text-key body"
  allows "$1" --force-text "${2/FILE/given/zero}"
}
# no_result VERB OPTION...: they change times or stderr only.
no_result() { local option; for option in "${@:2}"; do row "$1" "$option"; done; }

# What the commands are given.
mkdir given digests
digests=$work/digests
make_text 200 > given/text
make_text 200 9 > given/other
printf 'the king\nsea\n' > given/list
echo '7 8' > given/ids
for i in $(seq 40); do echo '{"text":"the king went","body":"the sea of land"}'; done > given/lines.jsonl
printf 'the king went\0%.0s' $(seq 40) > given/zero
echo 'beta1 = 0.5' > given/config
model='--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --tokenizer byte'
# shellcheck disable=SC2086
succeeds 'a model' "$GRADUS" train given/text -o given/model $model --max-iters 30 --warmup 5 --learning-rate 3e-2 -q
# The model without what its training knows, and a tokenizer in which two letters changed places.
mkdir given/bare && cp given/model/config.json given/model/tokenizer.json given/model/model.safetensors given/bare
sed 's/"t": 116/"t": 999/; s/"k": 107/"k": 116/; s/"t": 999/"t": 107/' given/model/tokenizer.json > given/swapped.json
# The same as a folder of sentence-transformers.
cp -r given/model given/sentences && mkdir given/sentences/1_Pooling
printf '[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]' > given/sentences/modules.json
width=$(grep -o '"n_embd": [0-9]*' given/model/config.json | grep -o '[0-9]*$')
printf '{"word_embedding_dimension":%s,"pooling_mode_mean_tokens":true}' "$width" > given/sentences/1_Pooling/config.json
printf '{"prompts":{"query":"the "}}' > given/sentences/config_sentence_transformers.json
# shellcheck disable=SC2086
succeeds 'a rotary model' "$GRADUS" train given/text -o given/rotary ${model/--n-layer 1/--n-layer 2} --arch llama --max-iters 3 --warmup 1 -q
printf 'went' > given/other.prompt
# A model whose tokenizer has a special token.
# shellcheck disable=SC2086
succeeds 'a model of pieces' "$GRADUS" train given/text -o given/pieces ${model/byte/bpe:270} --max-iters 3 --warmup 1 -q
# Vectors, one of a name that is not UTF-8; and rows without names.
printf '5 3\nking 1 2 3\nqueen 1 2 2\nsea 3 -1 2\nland -2 1 0\nm\377n 0 1 0\n' > given/words.vec
printf '1 0.5\n0.25 2\n' > given/two
succeeds 'rows' "$GRADUS" embed given/model king sea -o given/rows/ -q
mv given/rows/layer_0.npy given/rows.npy
printf 'a\nb\n' > given/names
for i in $(seq 30); do echo the; done > given/lots
printf 'king sea\n' > given/pairs
printf 'queen land\nking land\n' > given/other.pairs
awk 'BEGIN { seed = 7; for (i = 0; i < 40; ++i) { line = "w" i; for (j = 0; j < 6; ++j) { seed = (seed * 16807) % 2147483647; line = line " " seed / 2147483647 - 0.5 }; print line } }' > given/more.vec
awk 'BEGIN { seed = 3; for (i = 0; i < 900; ++i) { seed = (seed * 16807) % 2147483647; printf "%s%d%s", seed % 5 ? "w" : "W-", seed % 3 * (seed % 11), i % 9 ? " " : "\n" } }' > given/more.text
printf 'king queen sea\nland sea\n' > given/baskets
printf 'king sea\nland queen\n' > given/other.baskets
for i in $(seq 30); do echo "king queen sea land king"; done > given/cells
succeeds 'a table of co-occurrences' "$GRADUS" vectors train glove given/cells -o given/glove --dim 4 --epochs 2 -q
printf 'w0\nw2\nw4\nw16\nthe\n' > given/vocab
printf '1 4\nw0 1 2 3 4\n' > given/begin.vec
for i in $(seq 0 19); do printf 'w%s\t%s\n' "$i" $((i % 3)); done > given/labels
for i in $(seq 0 15); do printf 'w%s\t%s\n' "$i" $((i % 4)); done > given/other.labels
printf 'king sea 1\nqueen land 2\nking land 3\nking zebra 0\n' > given/rated
printf ': a\nking queen sea sea\n: gram\nking queen land sea\n' > given/analogies
printf '%s\n' 'king man 1' 'left right 2' 'hand house 3' 'day night 4' 'great small 5' 'sea land 6' 'word said 7' 'went was 8' > given/rated.text
succeeds 'layers' "$GRADUS" embed given/rotary king sea -o given/layers.npz -q
succeeds 'a tokenizer' "$GRADUS" tokenizer train given/text --kind wordpiece --vocab-size 60 -o given/t.json -q

training_rows() {
  base="given/text --out run $model --max-iters 4 --warmup 1 --quiet"
  local sizes='--n-head 2 --n-embd 16 --block-size 16 --batch-size 2' rest='--max-iters 4 --warmup 1 --quiet'
  changes train --out other
  changes train --tokenizer char
  differ train --init "given/text --out run $rest --tokenizer byte" "given/text --out run $rest --init model:given/model"
  changes train --dry-run
  changes train --profile 1
  changes train --config given/config
  changes train --arch llama
  differ train --preset "given/text --out run $sizes $rest --tokenizer byte" "given/text --out run $sizes $rest --tokenizer byte --preset micro"
  changes train --position rotary
  changes train --tie off
  changes train --n-layer 2
  changes train --n-head 4
  changes train --n-kv-head 1
  changes train --n-embd 32
  changes train --block-size 8
  changes train --batch-size 3
  changes train --dropout 0.5
  changes train --max-iters 5
  differ train --time "$base --dry-run --json" "${base/--max-iters 4/} --dry-run --json --time 1h"
  changes train --grad-accum 2
  changes train --grad-shards 2
  stores --objective next-token objective
  changes train --learning-rate 1e-2
  changes train --min-lr 1e-5
  changes train --warmup 2
  changes train --schedule linear
  changes train --weight-decay 0.5
  changes train --beta1 0.5
  changes train --beta2 0.5
  changes train --grad-clip 0.01
  changes train --seed 3
  changes train --val-fraction 0.3
  changes train --eval-interval 1
  stores --sample-every 7 sample_every
  base="$base --checkpoint-every 2 --keep 1"
  changes train --checkpoint-every 3
  changes train --keep 0
  common train
  reads_texts train "FILE --out run $model --max-iters 4 --warmup 1 --quiet"

  base='run --quiet'
  changes resume --max-iters 33
  changes resume --time 0.01s
  base='run --quiet --max-iters 33'
  changes resume --learning-rate 1e-3
  changes resume --min-lr 1e-3
  changes resume --schedule linear
  row resume --text
  cp given/text given/moved
  digest resume "$base --text given/moved"
  grep -qaF 'given/moved' "$place/run/state.safetensors" || fail 'resume --text' 'the new place in the state' "$(head -c 900 "$place/run/state.safetensors")"
  row resume --force
  case $("$GRADUS" doctor --json) in
    *sse2*avx2*)
      cp -r given/model place.other
      (export GRADUS_ISA=sse2 && refuses 1 'give --force' "$GRADUS" resume place.other --max-iters 33 &&
        succeeds 'resume --force' "$GRADUS" resume place.other --max-iters 33 --force) || exit 1
      ;;
  esac
  common resume
}

model_rows() {
  local verb
  base='given/model --prompt the --n-predict 12 --temp 1 --top-k 0 --top-p 1 --min-p 0 --seed 5 --json --show-probs 2'
  changes generate --prompt a
  differ generate --file "$base" "${base/--prompt the/--file given/other.prompt}"
  changes generate --num-samples 2
  changes generate --n-predict 3
  changes generate --temp 0.1
  changes generate --top-k 2
  changes generate --top-p 0.1
  changes generate --min-p 0.5
  changes generate --repeat-penalty 5
  differ generate --stop "$base" "$base --stop e --stop a --stop t"
  changes generate --show-probs 3
  changes generate --seed 9
  changes generate --weights q8
  changes generate --kv-cache bf16
  common generate

  differ embed --tokenizer 'given/bare theking sea' 'given/bare theking sea --tokenizer given/swapped.json'
  for verb in embed explain; do differ $verb --parse-special 'given/pieces a<|endoftext|>b' 'given/pieces a<|endoftext|>b --parse-special on'; done
  differ generate --parse-special 'given/pieces --prompt a<|endoftext|>b --json' 'given/pieces --prompt a<|endoftext|>b --json --parse-special on'
  differ eval --tokenizer 'given/bare --input given/text --quiet' 'given/bare --input given/text --quiet --tokenizer given/swapped.json'
  differ explain --tokenizer 'given/bare king' 'given/bare king --tokenizer given/swapped.json'
  differ generate --tokenizer 'given/bare --prompt king' 'given/bare --prompt king --tokenizer given/swapped.json'
  differ neighbors --tokenizer 'given/bare king --text given/text' 'given/bare king --text given/text --tokenizer given/swapped.json'

  base='given/model theking sea --out vectors.safetensors --quiet'
  differ embed --input "$base" 'given/model --input given/list --out vectors.safetensors --quiet'
  changes embed --out vectors.npz
  changes embed --layers 0
  changes embed --level token
  differ embed --compare 'given/model king,sea king,a,sea --compare king' 'given/model king,sea king,a,sea --compare sea'
  changes embed --pooling max
  changes embed --weights q8
  common embed
  reads_texts embed 'given/model --input FILE --out vectors.npz --quiet --truncate'
  allows embed --truncate 'given/model the,king,and,the,queen --out vectors.npz'
  differ embed --pair 'given/model theking sea --level token' 'given/model theking sea --level token --pair'
  differ embed --prompt "$base" "$base --prompt and"
  differ embed --prompt-name 'given/sentences sea' 'given/sentences sea --prompt-name query'
  allows embed --chunk 'given/model the,king,and,the,queen --out vectors.npz' 6:2
  for option in --logits --heads --attention-maps --normalize; do changes embed $option; done
  changes embed --truncate-dim 5
  changes embed --output-dtype int8
  keeps embed --batch-tokens 1

  base='given/rotary theking --layer 1 --head 0'
  changes explain --layer 2
  changes explain --head 1
  changes explain --tokens 2,1
  common explain

  base='run king'
  changes neighbors --layer 0
  changes neighbors --text given/other
  changes neighbors --count 3
  common neighbors
  reads_texts neighbors 'run the --text FILE --count 1'

  base='given/model --input given/text --json'
  changes eval --input given/other
  changes eval --weights q8
  common eval
  reads_texts eval 'given/model --input FILE --json'

  base=given/model
  common info
  base=
  differ doctor --threads '' '--threads 3'
  changes doctor --json
  quiet doctor
}

vector_rows() {
  local verb words action
  base='given/words.vec king'
  changes neighbors --metric manhattan
  changes neighbors --restrict 3
  for verb in neighbors similarity analogy odd 'vectors get'; do
    case $verb in
      similarity) words=' king sea' ;;
      analogy | odd) words=' king sea man' ;;
      *) words=' king' ;;
    esac
    differ "$verb" --layer "given/model$words --text given/text --json" "given/model$words --text given/text --layer 0 --json"
    differ "$verb" --text "given/model$words --text given/text --json" "given/model$words --text given/other --json"
    differ "$verb" --tokenizer "given/bare$words --text given/text --json" "given/bare$words --text given/text --json --tokenizer given/swapped.json"
    row "$verb" --names
    row "$verb" --encoding-errors
    row "$verb" --level
    row "$verb" --truncate
    base="given/words.vec${words/man/land}"
    common "$verb"
    row "$verb" --text-key
    allows "$verb" --force-text "given/model${words//[a-z]*([a-z])/the} --text given/zero"
  done
  reads_texts neighbors 'given/model the --text FILE'
  allows 'vectors get' --names 'given/rows.npy a' given/names
  # shellcheck disable=SC2016
  (cd "$work" && refuses 1 'words.vec:6: a name must be UTF-8' "$GRADUS" vectors get given/words.vec king --encoding-errors strict) || exit 1
  differ neighbors --level 'given/model the --text given/lots' 'given/model the --text given/lots --level sentence'
  base='given/words.vec king sea land'
  changes analogy --method 3cosmul
  changes analogy --count 1
  changes analogy --restrict 2
  changes analogy --include-inputs
  base='given/words.vec --similarity given/rated --json'
  differ eval --similarity "$base" 'given/words.vec --similarity given/rated given/rated --json'
  changes eval --oov zero
  changes eval --dims 2,3
  differ eval --layer "given/model --text given/text --similarity given/rated.text --json" "given/model --text given/text --similarity given/rated.text --json --layer 0"
  differ eval --text "given/model --text given/text --similarity given/rated.text --json" "given/model --text given/other --similarity given/rated.text --json"
  base='given/words.vec --analogy given/analogies --json'
  differ eval --analogy "$base" "$base --similarity given/rated"
  changes eval --method 3cosmul
  changes eval --restrict 3
  differ eval --include-inputs "given/words.vec --analogy given/analogies" "given/words.vec --analogy given/analogies --include-inputs"
  for verb in --names --encoding-errors --level --truncate; do row eval $verb; done
  differ eval --cluster 'given/more.vec --cluster given/labels --json' 'given/more.vec --cluster given/other.labels --json'
  base='given/words.vec --baskets given/baskets --json'
  differ eval --baskets "$base" 'given/words.vec --baskets given/other.baskets --json'
  changes eval --recall-at 1
  base='given/glove king queen'
  common 'vectors cooc'
  base='given/rows.npy --names given/names --out w.vec --quiet'
  changes convert --out w.npy
  allows convert --names 'given/rows.npy --out w.vec' given/names
  differ convert --layer 'given/layers.npz --out w.safetensors --quiet' 'given/layers.npz --out w.safetensors --quiet --layer 0'
  (cd "$work" && refuses 1 'words.vec:6: a name must be UTF-8' "$GRADUS" convert given/words.vec -o w.txt --encoding-errors strict) || exit 1
  row convert --encoding-errors
  differ 'vectors trim' --top 'given/words.vec --top 1 --out w.vec' 'given/words.vec --top 2 --out w.vec'
  differ 'vectors trim' --words 'given/words.vec --top 1 --out w.vec' 'given/words.vec --words given/list --out w.vec'
  differ 'vectors merge' --concat 'given/words.vec given/words.vec --out w.vec' 'given/words.vec given/words.vec --out w.vec --concat'
  differ 'vectors reduce' --to 'given/words.vec --to 1 --out w.vec' 'given/words.vec --to 2 --out w.vec'
  differ 'vectors reduce' --method 'given/words.vec --to 2 --out w.vec' 'given/words.vec --to 2 --out w.vec --method truncate'
  differ 'vectors align' --dictionary 'given/words.vec given/words.vec --dictionary given/pairs --out w.vec' 'given/words.vec given/words.vec --dictionary given/other.pairs --out w.vec'
  differ 'vectors align' --test 'given/words.vec given/words.vec --dictionary given/pairs --out w.vec --json' 'given/words.vec given/words.vec --dictionary given/pairs --test given/other.pairs --out w.vec --json'
  differ 'vectors align' --restrict 'given/words.vec given/words.vec --dictionary given/pairs --out w.vec --json' 'given/words.vec given/words.vec --dictionary given/pairs --out w.vec --json --restrict 1'
  differ eval --dictionary 'given/words.vec given/words.vec --similarity given/rated' 'given/words.vec given/words.vec --similarity given/rated --dictionary given/pairs'
  for action in 'trim --top 2' 'merge given/words.vec' 'reduce --to 2' 'align given/words.vec --dictionary given/pairs'; do
    verb="vectors ${action%% *}"
    base="given/words.vec ${action#* } --out w.vec"
    changes "$verb" --out w.bin
    keeps "$verb" --threads 1
    quiet "$verb"
    changes "$verb" --json
    for words in --layer --text --level --truncate --names --encoding-errors --tokenizer --text-key --force-text; do row "$verb" $words; done
  done
  # Of a method the options that others have too are looked at in one of them.
  for method in skipgram cbow glove fasttext fasttext-cbow; do
    verb="vectors train $method"
    base="given/more.text --dim 4 --min-count 1 --epochs 1 --window 2 --out w.vec"
    [ $method = glove ] || base="$base --sample 0"
    case $method in fasttext*) base="$base --bucket 50" ;; esac
    changes "$verb" --out w.bin
    changes "$verb" --dim 5
    changes "$verb" --window 1
    changes "$verb" --epochs 2
    changes "$verb" --lr 0.01
    changes "$verb" --seed 9
    changes "$verb" --min-count 60
    words="${base/--window 2/}"
    differ "$verb" --input-format "$words" "$words --input-format baskets"
    changes "$verb" --word-rule letters
    changes "$verb" --lower
    changes "$verb" --save-vocab saved
    differ "$verb" --vocab "$base" "${base/--min-count 1/} --vocab given/vocab"
    differ "$verb" --init "$base" "$base --init given/begin.vec"
    if [ $method = glove ]; then
      changes "$verb" --x-max 2
      changes "$verb" --alpha 0.2
    else
      changes "$verb" --negative 2
      changes "$verb" --sample 1e-9
      changes "$verb" --ns-exponent 0
      bounded "$verb" --alpha 0.1 'the learning rate is --lr'
    fi
    case $method in *cbow) changes "$verb" --cbow-gradient original ;; esac
    case $method in fasttext*)
      changes "$verb" --minn 2
      changes "$verb" --maxn 4
      changes "$verb" --bucket 40
      ;;
    esac
    (cd "$work" && refuses 1 'must fit into' "$GRADUS" $verb $base --memory 1MB) || exit 1
    row "$verb" --memory
    differ "$verb" --time "$base" "${base/--epochs 1/} --time 1s"
    keeps "$verb" --threads 1
    quiet "$verb"
    changes "$verb" --json
    reads_texts "$verb" "${base/given\/more.text/FILE}"
  done
  base='given/more.vec --json'
  changes cluster --groups 2
  changes cluster --restrict 20
  changes cluster --typical 2
  changes cluster --rows
  differ cluster --labels "$base" "$base --labels given/labels"
  differ cluster --seed 'given/more.vec -k 12 --restarts 1 --rows' 'given/more.vec -k 12 --restarts 1 --rows --seed 9'
  differ cluster --restarts 'given/more.vec -k 12 --restarts 1 --rows' 'given/more.vec -k 12 --restarts 20 --rows'
  keeps cluster --threads 1
  quiet cluster
  differ cluster --json 'given/more.vec' 'given/more.vec --json'
  for words in --layer --text --level --truncate --names --encoding-errors --tokenizer --text-key --force-text; do row cluster $words; done
  allows cluster --truncate 'given/rotary --level sentence --text given/text -k 2'
  base='given/rotary king --input given/text --truncate'
  differ polysemy --input "$base" 'given/rotary king --input given/other --truncate'
  changes polysemy --layers 0
  differ polysemy --groups "$base --groups 2" "$base --groups 3"
  changes polysemy --weights q8
  changes polysemy --json
  keeps polysemy --threads 1
  quiet polysemy
  differ polysemy --tokenizer 'given/bare king --input given/text --truncate' 'given/bare king --input given/text --truncate --tokenizer given/swapped.json'
  row polysemy --truncate
  base='--size 3kB --out world'
  changes 'corpus microworld' --size 5kB
  changes 'corpus microworld' --seed 2
  changes 'corpus microworld' --out other
  changes 'corpus microworld' --json
  keeps 'corpus microworld' --threads 1
  quiet 'corpus microworld'
  differ similarity --pairs 'given/words.vec king queen' 'given/words.vec --pairs given/pairs'
}

tokenizer_rows() {
  base='given/text --kind bpe --vocab-size 300 --out t.json'
  changes 'tokenizer train' --kind words
  changes 'tokenizer train' --vocab-size 290
  changes 'tokenizer train' --special '<a>'
  bounded 'tokenizer train' --memory 5kB '5000'
  differ 'tokenizer train' --spaces 'given/text --kind unigram --vocab-size 300 --out t.json' 'given/text --kind unigram --vocab-size 300 --out t.json --spaces sentencepiece'
  changes 'tokenizer train' --out other.json
  keeps 'tokenizer train' --threads 1
  quiet 'tokenizer train'
  changes 'tokenizer train' --json
  reads_texts 'tokenizer train' 'FILE --vocab-size 260 --out t.json'

  base='given/t.json the,[SEP]é --json'
  differ 'tokenizer encode' --input "$base" 'given/t.json --input given/list --json'
  differ 'tokenizer encode' --lines 'given/t.json --input given/list' 'given/t.json --input given/list --lines'
  differ 'tokenizer encode' --out 'given/t.json the' 'given/t.json the --out ids.npy'
  changes 'tokenizer encode' --special off
  changes 'tokenizer encode' --parse-special off
  changes 'tokenizer encode' --offsets char
  common 'tokenizer encode'
  reads_texts 'tokenizer encode' 'given/model --input FILE'

  base='given/t.json 2 5 9'
  differ 'tokenizer decode' --input "$base" 'given/t.json --input given/ids'
  changes 'tokenizer decode' --skip-special
  common 'tokenizer decode'

  base='given/t.json the,[SEP]é'
  differ 'tokenizer show' --input "$base" 'given/t.json --input given/list'
  changes 'tokenizer show' --special off
  changes 'tokenizer show' --parse-special off
  changes 'tokenizer show' --offsets char
  common 'tokenizer show'
  reads_texts 'tokenizer show' 'given/model --input FILE'

  base='given/t.json --input given/list --json'
  changes 'tokenizer compare' --input given/text
  changes 'tokenizer compare' --lines
  keeps 'tokenizer compare' --threads 1
  quiet 'tokenizer compare'
  changes 'tokenizer compare' --json
  reads_texts 'tokenizer compare' 'given/model --input FILE --json'

  base='given/t.json --out vocab.txt'
  changes convert --out other.json
  differ convert --to "$base" 'given/model --out other --to hf --quiet'
  differ convert --dtype 'given/model --out other --to hf --quiet' 'given/model --out other --to hf --dtype bf16 --quiet'
  differ convert --tokenizer 'given/bare --out other --to hf --quiet' \
    'given/bare --out other --to hf --tokenizer given/swapped.json --quiet'
  common convert
}

bench_rows() {
  local huge='--arch gpt --n-layer 1 --n-head 4 --n-embd 200000 --block-size 10000' size='--n-layer 1 --n-head 2 --n-embd 16 --block-size 16'
  local name
  for name in train growth generate embed; do
    base="$huge --n-kv-head 2"
    [ $name = generate ] && base="$base --prompt-tokens 1 --tokens 1"
    [ $name = growth ] && base="$huge --only sequences"
    [ $name = train ] && base="$base --batch-size 2"
    sized "bench $name" --arch llama
    sized "bench $name" --position none
    sized "bench $name" --tie off
    sized "bench $name" --n-layer 2
    sized "bench $name" --n-embd 100000
    sized "bench $name" --block-size 20000
    [ $name = growth ] || sized "bench $name" --n-head 8
    [ $name = growth ] || sized "bench $name" --n-kv-head 1
    [ $name = embed ] || sized "bench $name" --vocab-size 60000
    [ $name = growth ] && sized 'bench growth' --only tokens
    base=${base/--n-layer 1/}
    sized "bench $name" --preset small
  done
  base='--n-layer 1 --n-head 2 --n-embd 4096 --block-size 100000 --batch-size 20'
  sized 'bench train' --batch-size 30
  base=
  bounded 'bench growth' --n-head 3 'n_embd must be a multiple of n_head'
  bounded 'bench growth' --n-kv-head 2 '--n-kv-head must be left out'
  bounded 'bench growth' --batch-size 0 '--batch-size must be in'
  for name in train growth; do
    bounded "bench $name" --dropout 1 'dropout must be in'
    bounded "bench $name" --steps 4 '--steps must be in'
  done
  bounded 'bench growth' --threads 257 '--threads must be in'
  bounded 'bench train' --grad-accum 0 '--grad-accum must be in'
  fields 'bench growth' "$size --batch-size 1 --vocab-size 50 --only threads --json --quiet"
  fields 'bench train' "$size --batch-size 1 --vocab-size 50 --steps 6 --threads 1 --json --quiet"
  field --steps samples 6
  field --threads threads 1
  fields 'bench generate' "$size --vocab-size 50 --prompt-tokens 3 --tokens 2 --samples 6 --batch 2 --weights q8 --kv-cache bf16 --threads 1 --json --quiet"
  field --prompt-tokens prompt_tokens 3
  field --tokens tokens 2
  field --samples samples 6
  field --batch batch 2
  # Of a layer 12·16² numbers and of the output layer 50·16, of a vector of 16 a multiple of four bytes more.
  [ "$(json "$place/out" weight_bytes)" -lt 8000 ] || fail 'bench generate --weights q8' 'fewer bytes than bf16' "$(cat "$place/out")"
  field --weights weights q8
  # Keys and values of 3 + 2/2 tokens, 16 wide, of 2 bytes.
  field --kv-cache cache_bytes_per_token $((2 * 2 * 16 * 4))
  field --threads threads 1
  fields 'bench embed' "$size --texts 3 --tokens 4 --short-tokens 2 --layers 0 --weights q8 --threads 1 --json --quiet"
  field --texts texts 3
  field --tokens tokens 4
  field --short-tokens short_tokens 2
  field --weights weights q8
  field --threads threads 1
  fields 'bench embed' '--one-hot --texts 2 --tokens 4 --n-embd 24 --json --quiet'
  field --one-hot equal_bits true
  bounded 'bench embed' --layers 99 "'99' was given"
  fields 'bench gemm' '--m 2 --n 64 --k 32 --form nt --rotate-mb 1 --weights q8 --threads 1 --json --quiet'
  field --m m 2
  field --n n 64
  field --k k 32
  field --form form nt
  field --threads threads 1
  # So many weights of 64·32 numbers, of 1 + 2/32 bytes each, are 1 MB.
  field --rotate-mb weights 460
  field --weights weights 460
  bounded 'bench gemm' --only xyzzy "'xyzzy' matches none"
  grep -q cblas_sgemm "$GRADUS" || bounded 'bench gemm' --peers --json '--peers needs a program'
  row 'bench gemm' --peers
  fields 'bench tokenizer' "$work/given/t.json --input $work/given/list --lines --with-offsets --threads 1 --json --quiet"
  field --input bytes 11
  field --lines texts 2
  field --threads threads 1
  fields 'bench vectors' "--input $work/given/more.text --method cbow --dim 12 --samples 2 --threads 1 --json --quiet"
  field --input words 900
  field --dim dim 12
  field --samples samples 2
  field --threads threads 1
  grep -q '"name":"cbow"' "$place/out" || fail 'bench vectors --method' cbow "$(cat "$place/out")"
  row 'bench vectors' --method
  fields 'bench vectors' "--input $work/given/lines.jsonl --text-key body --method cbow --samples 1 --json --quiet"
  field --text-key words 160
  allows 'bench vectors' --force-text '--input given/zero --method cbow --samples 1 --json'
  fields 'bench peak' '--threads 1 --json --quiet'
  field --threads threads 1
  fields 'bench tokenizer' "$work/given/model --input $work/given/lines.jsonl --text-key body --json --quiet"
  field --text-key bytes 600
  allows 'bench tokenizer' --force-text 'given/model --input given/zero --json'
  no_result 'bench tokenizer' --with-offsets
  for name in peak gemm train growth generate embed tokenizer vectors; do no_result "bench $name" --quiet; done
}

# The groups at once: each waits mostly for the start of programs.
groups='training_rows model_rows vector_rows tokenizer_rows bench_rows'
for group in $groups; do
  (
    place=$work/place.$group
    rows=$work/rows.$group
    mkdir "$place"
    trap - EXIT
    $group
  ) &
  pids="${pids-} $!"
done
for pid in $pids; do wait "$pid" || failed=1; done
[ -z "${failed-}" ] || exit 1

# The rows against what --help lists.
names_in() { sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' out; }
succeeds help "$GRADUS" --help
verbs=$(names_in | grep -v -x -e tokenizer -e bench -e vectors -e corpus)
for family in tokenizer bench vectors corpus vectors.train; do
  # shellcheck disable=SC2086
  succeeds "$family --help" "$GRADUS" ${family//./ } --help
  verbs="$verbs $(names_in | sed "s/^/$family./" | grep -v -x vectors.train | xargs)"
done
for verb in $verbs; do
  # shellcheck disable=SC2086
  succeeds "$verb --help" "$GRADUS" ${verb//./ } --help
  sed -nE 's/^  (-[a-z],)?(--[a-z0-9-]+).*/\2/p' out | grep -v -x -e --help | sed "s/^/${verb//./ } /"
done | sort > options
[ "$(wc -l < options)" -gt 150 ] || fail 'the options in --help' 'more than 150' "$(cat options)"
sort -u rows.* > covered
equal 'options without a row here' '' "$(comm -23 options covered)"
equal 'rows without an option' '' "$(comm -13 options covered)"
ok "each of $(wc -l < options) options changes a result, a stored option or a plan, or is named as one that must not"
