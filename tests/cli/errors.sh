#!/usr/bin/env bash
# Everything that can be given wrongly or go wrong, with its text and exit code: 1 the world's fault, 2 the caller's.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"

make_text 400 > text
size="--n-layer 2 --n-head 2 --n-embd 32 --block-size 32 --batch-size 4"
# shellcheck disable=SC2086
succeeds 'a run to break' "$GRADUS" train text -o run $size --tokenizer char --max-iters 20 --warmup 5 --checkpoint-every 10 \
  --eval-interval 10 -q
cp -r run whole
train() { refuses "$1" "$2" "$GRADUS" train text -o new "${@:3}"; }

# Texts.
: > empty
printf 'short' > short
printf 'good \303\251\nbad \303\050 text\n' > latin
mkdir folder
refuses 1 'none.txt: cannot be opened; No such file' "$GRADUS" train none.txt -o new
refuses 1 'empty: the file must hold text; it is empty' "$GRADUS" train empty -o new
refuses 1 'folder: the folder must hold text files; it holds none' "$GRADUS" train folder -o new
refuses 2 'the text must be longer than a block|tokens and --block-size is 32' "$GRADUS" train short -o new $size --tokenizer byte
refuses 1 'latin: |0xC3 at offset 12' "$GRADUS" train latin -o new $size --tokenizer char
refuses 2 'TEXT' "$GRADUS" train -o new
refuses 1 'empty: the file must hold text' "$GRADUS" eval run --input empty
refuses 1 'none.txt: cannot be opened' "$GRADUS" eval run --input none.txt
printf 'a\n\nb\n' > list
refuses 2 'list:2: a line must hold a text; it is empty' "$GRADUS" embed run --input list -o out.npz
for verb in 'eval run' 'neighbors run the' 'embed run -o out.npz' 'tokenizer encode run' 'tokenizer show run' 'tokenizer compare run' \
  'bench tokenizer run'; do
  option=--input
  [ "${verb%% *}" != neighbors ] || option=--text
  # shellcheck disable=SC2086
  refuses 1 'latin' "$GRADUS" $verb $option latin
done
ok 'texts: missing, empty, a folder, shorter than a block, not UTF-8 under char (names file and byte), for every verb'
[ ! -e new ] || fail 'a refused training' 'no run folder' "$(ls new)"

# Options.
train 2 'n_embd must be a multiple of n_head; n_embd is 32, n_head is 3' --n-embd 32 --n-head 3
train 2 '--batch-size must be in [1, 1048576]; it is 0' --batch-size 0
train 2 '--batch-size: must be a whole number|abc' --batch-size abc
train 2 '--objective: must be one of next-token' --objective next-tokens
train 2 '--grad-shards must be a power of two that divides the 12 sequences of a step; it is 8' --grad-shards 8 --batch-size 12
train 2 '--batch-size needs a value; it is empty' --batch-size ''
train 2 '--seed: must be a whole number from 0 to 18446744073709551615' --seed -1
train 2 '--max-iters: must be a whole number|99999999999999999999' --max-iters 99999999999999999999
train 2 '--learning-rate must be in [0, 100]; it is nan' --learning-rate nan
train 2 '--min-lr: must be a number' --min-lr low
train 2 'dropout must be in [0, 1); it is 1' --dropout 1
train 2 '--arch: must be one of gpt llama|did you mean gpt?' --arch gtp
train 2 'there is no file|did you mean char?' --tokenizer cahr
train 2 'bpe:N needs a number of at least 257' --tokenizer bpe:256
train 2 '--time must be a duration like 90s, 3m or 1.5h' --time 3x
train 2 'give --max-iters or --time, not both' --time 3m --max-iters 3
train 2 '--init must read model:DIR' --init run
train 2 '--bacth-size is not an option of gradus train; did you mean --batch-size?' --bacth-size 3
train 2 '--learnng-rate is not an option|did you mean --learning-rate?' --learnng_rate 3
train 2 '--threads must be in [0, 256]; it is -1' --threads -1
train 2 '--threads must be in [0, 256]; it is 257' --threads 257
train 2 '--max-iters needs a value; none was given' --max-iters
train 2 '--quiet takes no value' --quiet=3
train 2 '--seed must be given once' --seed 1 --max-iters 3 --seed 2
refuses 2 "'trian' is not a verb; did you mean train?" "$GRADUS" trian text
refuses 2 'usage: gradus VERB' "$GRADUS"
refuses 2 "'xyzzy' is not a verb; gradus --help lists them" "$GRADUS" xyzzy
refuses 2 'show' "$GRADUS" tokenizer shwo
refuses 2 "peak, gemm, train, growth, generate, embed, tokenizer or vectors must follow; 'paek' did" "$GRADUS" bench paek
refuses 2 '--m, --n and --k must be given together' "$GRADUS" bench gemm --m 8
refuses 2 "'xyzzy' matches none" "$GRADUS" bench gemm --only xyzzy
refuses 2 '--rotate-mb must be in [0, 1000000]; it is -1' "$GRADUS" bench gemm --m 8 --n 8 --k 8 --rotate-mb -1
grep -q cblas_sgemm "$GRADUS" || refuses 2 '--peers needs a program|make bench-peers|-DGRADUS_BENCH_PEERS=ON' "$GRADUS" bench gemm --peers
refuses 2 '--steps must be in [5, 1000000]' "$GRADUS" bench train --steps 4
refuses 2 '--prompt-tokens and --tokens must be at least 1, and together at most --block-size; they are 9, 8 and 16' \
  "$GRADUS" bench generate --block-size 16 --prompt-tokens 9 --tokens 8
refuses 2 '--samples must be in [5, 10000]' "$GRADUS" bench generate --samples 1
refuses 2 '--batch-size is not an option of gradus bench generate' "$GRADUS" bench generate --batch-size 3
refuses 2 '--tokens and --short-tokens must be in [1, --block-size]; they are 128 and 16, --block-size is 64' \
  "$GRADUS" bench embed --block-size 64
refuses 2 "'7' was given; the model has 6 layers" "$GRADUS" bench embed --layers 7
refuses 2 '--texts must be in [1, 1000000]; it is 0' "$GRADUS" bench embed --texts 0
refuses 2 '--n-kv-head must be left out' "$GRADUS" bench growth --n-kv-head 2
refuses 2 '--only: must be one of all tokens|did you mean tokens?' "$GRADUS" bench growth --only token
refuses 2 "resume takes DIR and options; 'more' is one argument too many" "$GRADUS" resume run more
refuses 2 'DIR is required' "$GRADUS" generate -p x
refuses 2 'TEXT is required' "$GRADUS" explain run
refuses 2 'GRADUS_ISA|scalar' env GRADUS_ISA=avx1024 "$GRADUS" doctor
ok 'options: ranges, types, misspelt names (the nearest is suggested), verbs'

# Options that change nothing beside the others are refused, and their neighbours without the cause are not.
useless() { refuses 2 "$1 has no effect $2" "$GRADUS" "${@:3}"; }
useless --min-lr 'with --schedule constant' train text -o new $size --schedule constant --min-lr 1e-5
useless --warmup 'beyond the 50 steps' train text -o new $size --max-iters 50 --warmup 50
useless --eval-interval 'with --val-fraction 0' train text -o new $size --val-fraction 0 --eval-interval 5
useless --preset 'where every one of its sizes is given' train text -o new $size --preset nano
for name in 'bench train' 'bench growth'; do useless --preset 'where every one' $name $size --preset nano; done
for name in 'bench generate' 'bench embed'; do useless --preset 'where every one' $name ${size% --batch*} --preset nano; done
for option in '--top-k 5' '--top-p 0.5' '--min-p 0.1' '--seed 3' '--num-samples 2'; do
  useless "${option% *}" 'with --temp 0' generate run -p the --temp 0 $option
  [ "$option" = '--top-k 5' ] || useless "${option% *}" 'with --top-k 1' generate run -p the --top-k 1 $option
done
useless --temp 'with --top-k 1' generate run -p the --top-k 1 --temp 2
for option in '--temp 1' '--top-k 5' '--top-p 0.5' '--min-p 0.1' '--seed 3' '--repeat-penalty 2' '--stop x' '--show-probs 2' '--weights q8' \
  '--kv-cache bf16' '--num-samples 2'; do
  useless "${option% *}" 'with -n 0' generate run -p the -n 0 $option
done
for option in '--layer 1' '--head 0' '--tokens 1,0'; do
  useless "${option% *}" 'with a model whose positions are not rotary' explain run the $option
done
for option in '--layers 0' '--short-tokens 3' '--weights q8' '--n-layer 2' '--n-head 2' '--n-kv-head 1' '--arch llama' '--tie off' \
  '--position none'; do
  # shellcheck disable=SC2086
  useless "${option% *}" 'with --one-hot' bench embed --one-hot $option
done
useless --pooling 'with --level token' embed run the -o out.npz --level token --pooling max
useless --lines 'without --input' tokenizer encode run the --lines
useless --offsets 'without --json' tokenizer encode run the --offsets char
for option in '--vocab-size 300' '--special <a>' '--memory 2GB'; do
  for kind in char byte; do useless "${option% *}" "with --kind $kind" tokenizer train text -o new --kind $kind $option; done
done
useless --form 'without --m, --n and --k' bench gemm --form nn
useless --rotate-mb 'without --m, --n and --k' bench gemm --rotate-mb 5
useless --only 'with --m, --n and --k' bench gemm --m 8 --n 8 --k 8 --only dw
useless --weights 'with --form tn' bench gemm --m 8 --n 8 --k 8 --form tn --weights q8
useless --batch-size 'with --only tokens' bench growth --only tokens --batch-size 2
useless --threads 'with --only threads' bench growth --only threads --threads 2
refuses 2 '--rotate-mb needs --form nt; it is nn' "$GRADUS" bench gemm --m 8 --n 8 --k 8 --form nn --rotate-mb 1
# Of a config file, which may serve several uses, they are said and counted; a default never counts.
printf 'schedule = constant\nmin_lr = 1e-5\neval-interval = 5\nval_fraction = 0\n' > config
# shellcheck disable=SC2086
succeeds 'a config file with options without effect' "$GRADUS" train text -o useless --config config $size --tokenizer byte --max-iters 3 -q
for word in '2 options of config without effect' 'config:2: --min-lr has no effect with --schedule constant' \
  'config:3: --eval-interval has no effect with --val-fraction 0'; do
  grep -qF -- "$word" err || fail 'a config file with options without effect' "$word" "$(cat err)"
done
succeeds 'a short training' "$GRADUS" train text $size --tokenizer char --dry-run --max-iters 50 --schedule linear
grep -q 'warm-up of 100 steps outlasts' err || fail 'a short training' 'a word about the default --warmup' "$(cat err)"
for allowed in 'train text --schedule constant' 'train text --val-fraction 0' 'train text --max-iters 3' 'train text --val-fraction 0 --eval-interval 0'; do
  # shellcheck disable=SC2086
  succeeds "$allowed" "$GRADUS" $allowed $size --tokenizer char --dry-run
  grep -q 'no effect' err && fail "$allowed" 'no word about defaults' "$(cat err)"
done
succeeds 'generate --temp 0' "$GRADUS" generate run -p the -n 2 --temp 0 --repeat-penalty 2 -q
succeeds 'embed --level token' "$GRADUS" embed run the --level token -o out.npz -q
ok 'options without effect: refused on the command line, said and counted of a config file; defaults do not count'

# Names of files and folders: not empty, and no - where no stream is read or written.
for name in 'info' 'generate -p the' 'tokenizer show' 'convert -o new.json' 'embed --compare x' 'eval --input text' resume \
  'tokenizer decode' 'tokenizer encode' 'tokenizer compare --input text' 'bench tokenizer --input text'; do
  # shellcheck disable=SC2086
  {
    refuses 2 "must name a file or folder; '-'" "$GRADUS" $name -
    refuses 2 'must not be empty; it is' "$GRADUS" $name ''
  }
done
for name in 'train text' 'embed run the' 'convert run' 'tokenizer train text' 'tokenizer encode run the'; do
  # shellcheck disable=SC2086
  {
    refuses 2 "--out must name a file or folder; '-'" "$GRADUS" $name --out -
    refuses 2 '-o needs a value; it is empty' "$GRADUS" $name -o ''
  }
done
refuses 2 "--config must name a file or folder; '-'" "$GRADUS" train text --config -
for option in --config --init --tokenizer --time; do train 2 "$option needs a value; it is empty" $option ''; done
for option in --input --layers --compare; do refuses 2 "$option needs a value; it is empty" "$GRADUS" embed run $option ''; done
refuses 2 'TEXT must not be empty; it is' "$GRADUS" train ''
[ ! -e new ] && [ ! -e - ] || fail 'names of files' 'nothing written' "$(ls)"
ok 'an empty name, and - where nothing reads or writes a stream, are refused by every verb'

# A value may look like --help.
succeeds 'generate -p -h' "$GRADUS" generate useless -p -h -n 1 --temp 0 -q
equal 'generate -p -h: the prompt' '-h' "$(head -c 2 out)"
refuses 2 "--max-iters: must be a whole number|'--help'" "$GRADUS" train text --max-iters --help
for words in 'train text --max-iters 3 -h' 'train --nonsense --help' 'generate -p x --help'; do
  # shellcheck disable=SC2086
  succeeds "$words" "$GRADUS" $words
  grep -q '^Usage: gradus' out || fail "$words" 'the help' "$(head -c 200 out)"
done
ok 'a value that looks like --help is a value; elsewhere the help comes first'

# A config file has the same names; the command line wins; its errors have lines.
printf '# sizes\nn_layer = 2\n--oops\n' > config
refuses 2 'config:3: a line must read key = value' "$GRADUS" train text -o new --config config
printf 'n_layer = 2\n\nbatch_sise = 4\n' > config
printf 'n_layer = 2\nn-layer = 2\n' > twice
refuses 2 'twice:2: --n-layer must be given once' "$GRADUS" train text -o new --config twice
refuses 2 'config:3: --batch-sise is not an option|did you mean --batch-size?' "$GRADUS" train text -o new --config config
refuses 2 'none: the config file must be readable' "$GRADUS" train text -o new --config none
mkdir config_folder
refuses 2 'config_folder: the config file must be readable' "$GRADUS" train text -o new --config config_folder
printf 'n_layer = 2\nout =\n' > config
refuses 2 'config:2: --out needs a value; it is empty' "$GRADUS" train text --config config
printf 'out = "new" folder\n' > config
refuses 2 'config:1: a value that begins with a quote must end with the same|"new" folder' "$GRADUS" train text --config config
printf "out = 'new\\n" > config
refuses 2 'config:1: a value that begins with a quote' "$GRADUS" train text --config config
# A mark at the beginning, as Windows editors write it; a # between quotes.
printf '\357\273\277max-iters = 3\r\nout = "run # 1" # a comment with a "\r\n# out = x\r\nquiet = true\r\n' > config
# shellcheck disable=SC2086
succeeds 'a config file with a byte-order mark' "$GRADUS" train text --config config $size --tokenizer char
[ -s 'run # 1/model.safetensors' ] || fail 'a # between quotes' "the folder 'run # 1'" "$(ls)"
equal 'a byte-order mark before the first option' 3 "$(lines 'run # 1/metrics.jsonl')"
printf 'n_layer = 2\nn_head = 2 # two\nn-embd = 64\nblock_size=32\ntokenizer = "char"\nmax_iters = 3\nwarmup = 1\nquiet = true\n' > config
succeeds 'a config file' "$GRADUS" train text -o configured --config config --n_embd 32 --batch_size=4
[ ! -s err ] || fail 'quiet = true in a config file' 'nothing on stderr' "$(cat err)"
# shellcheck disable=SC2086
succeeds 'the same on the command line' "$GRADUS" train text -o spelt $size --tokenizer char --max-iters 3 --warmup 1 -q
same_file 'config file, - and _' spelt/model.safetensors configured/model.safetensors
ok 'config files: line numbers in errors, the command line wins, - and _ are equal'

for verb in train resume generate embed explain neighbors eval 'tokenizer show' info 'bench peak' 'bench gemm' 'bench train' 'bench growth' \
  'bench generate' 'bench embed' doctor; do
  # shellcheck disable=SC2086
  succeeds "help of $verb" "$GRADUS" $verb --help
  grep -q -- --threads out || fail "help of $verb" 'its options' "$(cat out)"
  [ ! -s err ] || fail "help of $verb" 'nothing on stderr' "$(cat err)"
done
succeeds 'help of train' "$GRADUS" train --help
for word in '--max-iters INT.*2000' '--learning-rate NUMBER.*0.001' '--tokenizer.*bpe:2048' '--arch gpt|llama.*gpt' '--seed INT.*1337'; do
  grep -q -- "$word" out || fail 'help of train' "$word" "$(cat out)"
done
succeeds help "$GRADUS" --help
succeeds version "$GRADUS" --version
ok 'help of every verb, with types and defaults'

# Sizes beyond the machine are refused before they are taken: under a limit of address space that has no room for them.
limit='ulimit -v 16000000;' patience=20
# The sanitizers take terabytes of address space for themselves, and their time.
if grep -qE '__(a|t)san_init' "$GRADUS"; then limit='' patience=200; fi
for demand in '--n-embd 65536 --n-layer 1000 --n-head 64' '--batch-size 1048576' '--n-embd 1048576 --n-head 2'; do
  # shellcheck disable=SC2086
  refuses 1 'the training must fit in memory; it needs|are available' \
    timeout $patience bash -c "$limit"' exec "$@"' - "$GRADUS" train text -o new --tokenizer char --block-size 32 $demand
done
[ ! -e new ] || fail 'an impossible memory demand' 'nothing written' "$(ls new)"
ok 'an impossible memory demand is refused before it is taken'

# Places to write.
refuses 2 'run must not hold a run already; it does|gradus resume run' "$GRADUS" train text -o run $size --tokenizer char
refuses 1 'text/new: the folder cannot be made|a file of that name is in the way' "$GRADUS" train text -o text/new $size --tokenizer char --max-iters 1 -q
refuses 1 'text/out.npz|cannot be written' "$GRADUS" embed run the -o text/out.npz
refuses 2 "must be named .npz or .safetensors, or be a folder, NAME/; it is 'out.txt'" "$GRADUS" embed run the -o out.txt
if [ -c /dev/full ]; then
  "$GRADUS" doctor --json > /dev/full 2> err
  equal 'a full stdout' 1 $?
  grep -q 'stdout: cannot write; No space left' err || fail 'a full stdout' 'the reason' "$(cat err)"
fi
ok 'outputs: a folder that holds a run, a path under a file, a wrong name, a full stdout'

# Models.
refuses 2 "'99' was given; the model has 2 layers" "$GRADUS" embed run the --layers 99 -o out.npz
refuses 2 "'-4' was given" "$GRADUS" embed run the --layers -4 -o out.npz
refuses 2 "'king' was given" "$GRADUS" neighbors run king --layer king
refuses 1 "'Q' (U+0051) at byte 2" "$GRADUS" generate run -p 'a Q' -n 1 -q --json
refuses 2 "'zebra' is not" "$GRADUS" neighbors run zebra -q
refuses 2 'temp must be in' "$GRADUS" generate run -p the --temp -1 --json
refuses 2 'a stop text must not be empty' "$GRADUS" generate run -p the --stop '' --json
refuses 2 'the prompt must have 1 to block_size tokens|block_size is 32' "$GRADUS" generate run -p "$(head -c 100 text)" --json
refuses 1 'nowhere: must be a model|there is nothing of this name' "$GRADUS" generate nowhere -p the -q --json
refuses 1 'nowhere: must be a run folder; there is no such folder' "$GRADUS" resume nowhere
refuses 1 'folder: the run folder must hold model.safetensors' "$GRADUS" resume folder
refuses 1 'nowhere: cannot be opened' "$GRADUS" info nowhere
refuses 2 '--compare prints cosines; leave out -o' "$GRADUS" embed run the king --compare the -o out.npz
refuses 2 '--chunk must be SIZE or SIZE:OVERLAP' "$GRADUS" embed run the --chunk 4:4
refuses 2 'give --truncate or --chunk' "$GRADUS" embed run the --chunk 4 --truncate
refuses 2 '--pair reads texts by twos; there are 1' "$GRADUS" embed run the --pair
refuses 2 'must be cut to at most their 32 channels; 33' "$GRADUS" embed run the --truncate-dim 33
refuses 2 'attention is of a block|name one from 1 to 2' "$GRADUS" embed run the --layers 0 --heads
refuses 2 '--output-dtype has no effect on standard output' "$GRADUS" embed run the --output-dtype f16
printf 'the\n' > single.tsv
refuses 1 'single.tsv:1: a line must hold two texts with a tab between; it has no tab' "$GRADUS" embed run --input single.tsv --pair
printf '{"ids":[1,2],"text":"the"}\n' > both.jsonl
refuses 1 'both.jsonl:1: a line must hold a text or ids; this one has both' "$GRADUS" embed run --input both.jsonl
printf '{"ids":[1,2],"segments":[0,0]}\n' > told.jsonl
refuses 1 'told.jsonl:1: segments must not be given to a model without segment embeddings' "$GRADUS" embed run --input told.jsonl
mkdir full && touch full/x
refuses 2 'the folder full/ must be new or empty' "$GRADUS" embed run the -o full/
printf '{"ids":[99999]}\n' > far.jsonl
refuses 1 'far.jsonl:1: ids must be in [0, ' "$GRADUS" embed run --input far.jsonl -o empty_folder/
[ ! -e empty_folder ] || fail 'a refused embed' 'no folder' "$(ls empty_folder)"
refuses 2 'at least one text must be given' "$GRADUS" embed run -o out.npz
refuses 2 '--compare needs two texts or more|one was given' "$GRADUS" embed run 'the king' --compare king
# What a large-file store leaves in a file's place, whatever reads it.
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12345\n' 7 > pointer
cp -r run pointers
for file in model.safetensors tokenizer.json config.json; do
  cp pointer pointers/$file
  refuses 1 "pointers/$file: |it is only a pointer to one of 12345 bytes|git lfs pull" "$GRADUS" generate pointers -p the --json
  refuses 1 "pointers/$file: |git lfs pull" "$GRADUS" info pointers/$file
  cp run/$file pointers
done
for name in 'train pointer -o new' 'eval run --input' 'embed run -o out.npz --input' 'tokenizer encode run --input' 'tokenizer train -o new' \
  'convert -o new.json' 'neighbors run the --text'; do
  # shellcheck disable=SC2086
  refuses 1 'pointer: must be the file itself; it is only a pointer' "$GRADUS" ${name/ pointer/} pointer
done
ok 'models: layers, words, characters and prompts that are not there'

# What a result cannot be written to, or read from, be it closed.
for verb in 'info run' 'generate run -p the -n 2' 'eval run --input text' 'neighbors run the' 'tokenizer encode run --input text'; do
  # shellcheck disable=SC2086
  "$GRADUS" $verb > /dev/full 2> err && fail "$verb > /dev/full" 'an error' "$(cat err)"
  # shellcheck disable=SC2086
  "$GRADUS" $verb >&- 2> err && fail "$verb with stdout closed" 'an error' "$(cat err)"
  grep -q 'Bad file descriptor' err || fail "$verb with stdout closed" 'why' "$(cat err)"
done
"$GRADUS" eval run --input - <&- > out 2> err && fail 'stdin closed' 'an error' "$(cat err)"
ok 'closed standard output and input are errors'

# A choice in config.json that is none, by its place in the file.
cp -r run odd && rm odd/state.safetensors
for choice in '"block":"x"|$.gradus.block' '"norm":"post"|$.gradus.norm' '"windows":[3]|windows must be given for each'; do
  sed 's/^{/{"gradus":{'"${choice%%|*}"'},/' run/config.json > odd/config.json
  refuses 1 "odd/config.json: |${choice##*|}" "$GRADUS" generate odd -p the --json
done
succeeds 'train llama' "$GRADUS" train text -o llama --arch llama --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --warmup 1 \
  --max-iters 2 --tokenizer char -q
sed -i 's/"num_key_value_heads": 2/"num_key_value_heads": 0/' llama/config.json && rm llama/state.safetensors
refuses 1 'llama/config.json: $.num_key_value_heads: must be at least 1; it is 0' "$GRADUS" generate llama -p the --json
ok 'config.json: choices that are none are named by their place'

# Weights as a pickle alone, and a template for chats.
mkdir pickled && cp odd/tokenizer.json pickled && cp run/config.json pickled && printf 'PK\003\004' > pickled/pytorch_model.bin
refuses 1 'pickled/pytorch_model.bin: weights must stand in model.safetensors; this is a pickle|save_pretrained' "$GRADUS" generate pickled -p the --json
cp run/config.json odd/config.json
printf '{"chat_template":"{{ x }}"}' > odd/tokenizer_config.json
succeeds 'a template for chats' "$GRADUS" generate odd -p the -n 2
grep -q '^note .*template for chats; texts are taken as they are' err || fail 'a template for chats' 'to be said' "$(cat err)"
ok 'pickles are not read, and templates for chats are said not to be used'

# A run without its state, without its metrics, and what info says of parts that are damaged.
cp -r run lost && rm lost/state.safetensors
refuses 1 'lost/state.safetensors: must stand beside model.safetensors|it is not there' "$GRADUS" resume lost
head -n 2 run/metrics.jsonl > metrics.jsonl
refuses 1 'metrics.jsonl: must be a .safetensors, .gguf, .npz or .npy file' "$GRADUS" info metrics.jsonl
printf a > one
refuses 1 'one: the text must have at least 2 tokens; it has 1' "$GRADUS" eval run --input one --json
mkdir parts && cp run/config.json run/tokenizer.json parts
printf '{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}' > parts/model.safetensors.index.json
cp run/model.safetensors parts/model-1.safetensors
head -c 1000 run/model.safetensors > parts/model-2.safetensors
"$GRADUS" info parts > out 2> err && fail 'info of damaged parts' 'exit 1' 'exit 0'
grep -q '^damaged .*model-2.safetensors' out || fail 'info of damaged parts' 'which' "$(cat out)"
rm parts/model-2.safetensors
"$GRADUS" info parts > out 2> err && fail 'info of missing parts' 'exit 1' 'exit 0'
grep -q '^missing .*model-2.safetensors' out || fail 'info of missing parts' 'which' "$(cat out)"
ok 'a run without its state and a model without a part'

# A static model, 256 rows of two zeros: what only a model that reads has is refused.
mkdir static
succeeds 'a tokenizer of bytes' "$GRADUS" tokenizer train text --kind byte -o static/tokenizer.json
printf '{"model_type":"model2vec","normalize":false}' > static/config.json
printf '%s\0\0\0\0\0\0\0%-80s' P '{"embeddings":{"dtype":"F32","shape":[256,2],"data_offsets":[0,2048]}}' > static/model.safetensors
head -c 2048 /dev/zero >> static/model.safetensors
succeeds 'a static model' "$GRADUS" embed static the
equal 'a static model' '{"text":0,"token":"the","start":0,"end":3,"layer_0":[0.0,0.0]}' "$(cat out)"
succeeds 'info of a static model' "$GRADUS" info static
grep -q '^kind     static model, a vector for each token: 256 × 2$' out && grep -q '^vectors  2 values a text, the mean of its tokens' out ||
  fail 'info of a static model' 'its rows' "$(cat out)"
refuses 2 'a static model has layer_0 alone' "$GRADUS" embed static the --layers 1
for option in '--weights q8' '--tokenizer static/tokenizer.json' '--batch-tokens 8'; do
  # shellcheck disable=SC2086
  refuses 2 "${option%% *} has no effect with a static model" "$GRADUS" embed static the $option
done
ok 'a static model refuses options that have no effect'

# A folder of sentences with its parts in folders: none of them is written over.
mkdir -p sentences/1_Pooling && cp -r whole sentences/0_Transformer
printf '[{"idx":0,"name":"0","path":"0_Transformer","type":"sentence_transformers.models.Transformer"},{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]' > sentences/modules.json
printf '{"word_embedding_dimension":32,"pooling_mode_mean_tokens":true}' > sentences/1_Pooling/config.json
succeeds 'a folder of sentences' "$GRADUS" embed sentences the -o sentences/rows.safetensors -q
refuses 2 'must not name a file that is read' "$GRADUS" embed sentences the -o sentences/0_Transformer/model.safetensors
same_file 'the weights after a refusal' sentences/0_Transformer/model.safetensors whole/model.safetensors
ok 'a part of a folder of sentences is not written over'

# Files that were damaged: cut short, and with a bit flipped, in the head and in the numbers.
damaged=0
for file in model.safetensors state.safetensors; do
  total=$(wc -c < run/$file)
  header=$(($(od -An -tu8 -N 8 run/$file | tr -d ' ') + 8))
  for bytes in 0 7 100 $header $((total / 2)) $((total - 1)); do
    head -c "$bytes" whole/$file > run/$file
    refuses 1 "run/$file" "$GRADUS" resume run
    [ $file = state.safetensors ] || refuses 1 "run/$file" "$GRADUS" eval run --input text
    damaged=$((damaged + 1))
  done
  for ((i = 0; i < 6; ++i)); do
    cp whole/$file run/$file
    flip run/$file $((header + (total - header - 1) * i / 5))
    refuses 1 "run/$file: the bytes of tensor|have changed since they were written: checksum" "$GRADUS" resume run
    [ $file = state.safetensors ] || refuses 1 "run/$file: the bytes of tensor" "$GRADUS" generate run -p the --json
    damaged=$((damaged + 1))
  done
  for ((i = 0; i < 12; ++i)); do
    cp whole/$file run/$file
    # Not the spaces that fill the head up.
    flip run/$file $((i < 4 ? i * 2 : 8 + (header - 8 - 64) * (i - 4) / 7))
    refuses 1 "run/$file" "$GRADUS" resume run
    damaged=$((damaged + 1))
  done
  cp whole/$file run/$file
done
for file in config.json tokenizer.json; do
  head -c 100 whole/$file > run/$file
  refuses 1 "run/$file" "$GRADUS" generate run -p the --json
  refuses 1 "run/$file" "$GRADUS" resume run
  cp whole/$file run/$file
  damaged=$((damaged + 1))
done
sed 's/"n_layer": 2/"n_layer": 3/' whole/config.json > run/config.json
refuses 1 'run/config.json: must hold the configuration that the model was trained with' "$GRADUS" eval run --input text
mkdir bare
cp run/config.json run/tokenizer.json run/model.safetensors bare
refuses 1 'bare/model.safetensors|h.2' "$GRADUS" eval bare --input text
sed 's/"n_layer": 2/"n_layer": 2, "n_lair": 2/' whole/config.json > run/config.json
refuses 1 'run/config.json|n_lair' "$GRADUS" eval run --input text
sed 's/"layer_norm_epsilon": [^,]*/"layer_norm_epsilon": 0.001/' whole/config.json > run/config.json
refuses 1 'run/config.json: must hold the configuration that the run was started with' "$GRADUS" resume run
cp whole/config.json run
succeeds 'the run, whole again' "$GRADUS" resume run -q
ok "$damaged damaged files, each refused by its name, tensors by theirs"

# One process writes in a run folder at a time.
held() { flock run "$@"; }
refuses 1 'run: another process must not be writing here' held "$GRADUS" resume run
refuses 2 'sampler: temp must be in [0, 1e6]; it is -1' "$GRADUS" generate run -p the --temp -1
ok 'a run folder that another process writes is left alone; a refused option prints nothing'

# Tokenizers that belong to another model: of another size, and of the same size.
# shellcheck disable=SC2086
succeeds 'another tokenizer' "$GRADUS" train text -o other $size --tokenizer byte --max-iters 1 -q
cp other/tokenizer.json run
for verb in 'generate run -p the --json' 'embed run the -o out.npz' 'eval run --input text' 'neighbors run king' 'resume run'; do
  # shellcheck disable=SC2086
  refuses 1 tokenizer.json "$GRADUS" $verb
done
sed 's/"k":/"j":/' whole/tokenizer.json > other/tokenizer.json
cp other/tokenizer.json run
for verb in 'generate run -p the --json' 'embed run the -o out.npz' 'eval run --input text' 'neighbors run king'; do
  # shellcheck disable=SC2086
  refuses 1 'run/tokenizer.json: must be the tokenizer that the model was trained with' "$GRADUS" $verb
done
cp whole/tokenizer.json run
tr a-z b-za < text > shifted
refuses 1 "shifted: |at byte" "$GRADUS" train shifted -o new $size --tokenizer run/tokenizer.json
# The character that is unknown stands in the held-out part: the error still names the file.
{ cat text; printf '#\n'; } > marked
refuses 1 "marked (from where it is held out): |'#' (U+0023)" "$GRADUS" train marked -o new $size --tokenizer run/tokenizer.json
ok 'tokenizers that do not match are refused by every verb'

# A disk that fills up while a checkpoint is written: the one before stands, and the run can go on.
further="resume run --max-iters 40 -q"
# shellcheck disable=SC2086
succeeds 'resume with room' "$GRADUS" $further
cp run/model.safetensors expected
stands() {
  for file in model.safetensors state.safetensors; do same_file "$1: the checkpoint before" whole/$file run/$file; done
  [ -z "$(ls run | grep -E 'partial|next')" ] || fail "$1" 'nothing half-written left' "$(ls run)"
}
model_kb=$(($(wc -c < run/model.safetensors) / 1024))
# The limit stops writes within the model's file, then within the state's.
for limit in $((model_kb / 2)) $((model_kb * 3 / 2)); do
  rm -r run
  cp -r whole run
  # shellcheck disable=SC2086
  refuses 1 'failed at byte|File too large; what stood there before is unchanged' \
    bash -c 'trap "" XFSZ; ulimit -f "$1"; shift; exec "$@"' - "$limit" "$GRADUS" $further
  stands "a disk that is full after $limit kB"
  # shellcheck disable=SC2086
  succeeds 'resume after a full disk' "$GRADUS" $further
  same_file 'resume after a full disk' expected run/model.safetensors
done
how='a limit on file size'
# As root with a file system of its own: no space at all.
if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=12m tmpfs small 2> mount_error; then
  cleanups+=("umount $work/small")
  cp -r whole small/run
  rm -r run
  ln -s small/run run
  # Full but for what the metrics take: filled as soon as the run is on its way, past its check for room.
  "$GRADUS" resume run --max-iters 10000 -q 2> err_full &
  pid=$!
  while kill -0 $pid 2> kill_error && [ "$(lines run/metrics.jsonl)" -lt 25 ]; do sleep 0.01; done
  dd if=/dev/zero of=small/fill bs=4k 2> dd_error
  truncate -s -64k small/fill
  wait $pid
  equal 'a full file system: exit code' 1 $?
  grep -q 'No space left on device' err_full || fail 'a full file system' 'No space left on device' "$(cat err_full)"
  [ -z "$(ls run | grep -E 'partial|next')" ] || fail 'a full file system' 'nothing half-written left' "$(ls run)"
  rm small/fill
  at=$(head -c 400 run/model.safetensors | sed 's/.*"step":"\([0-9]*\)".*/\1/' | head -n 1)
  succeeds 'resume after a full file system' "$GRADUS" resume run --max-iters $((at + 1)) -q
  refuses 1 'the run must fit on the disk of' bash -c 'dd if=/dev/zero of=small/fill bs=4k 2> dd_error; exec "$@"' - "$GRADUS" resume run --max-iters $((at + 2)) -q
  how="$how, and a file system that is full"
  rm -f small/fill
  mount -o remount,ro small
  refuses 1 'run/state.safetensors|Read-only file system' "$GRADUS" resume run --max-iters $((at + 2)) -q
  how="$how, and one that is read-only"
fi
ok "disk full during a checkpoint ($how): the one before is intact and resumable"
