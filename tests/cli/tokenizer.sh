#!/usr/bin/env bash
# The tokenizer's verbs by use and by misuse, and the lesson of tokenizer/README.md, line by line.
source_dir=${GRADUS_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"
. "$source_dir/tests/cli/lesson.bash"

tokenizer() { "$GRADUS" tokenizer "$@"; }
kinds='bpe spm-bpe unigram wordpiece words char byte'
# size KIND: the option that kinds with a size of their own do not take.
size() { case $1 in char | byte) ;; wordpiece | words) echo '--vocab-size 100' ;; *) echo '--vocab-size 330' ;; esac; }
make_text 300 > text

# ---- Training ----

mkdir -p folder/below
cp text folder/below/one
for kind in $kinds; do
  # shellcheck disable=SC2046
  succeeds "train $kind" "$GRADUS" tokenizer train text --kind "$kind" $(size "$kind") -o "$kind.json" --threads 1 -q
  [ ! -s err ] || fail "train $kind -q" 'nothing on stderr' "$(cat err)"
  for from in text folder -; do
    # shellcheck disable=SC2046
    succeeds "train $kind from $from" "$GRADUS" tokenizer train $from --kind "$kind" $(size "$kind") -o again.json --threads 2 -q < text
    same_file "train $kind from $from on two threads" "$kind.json" again.json
  done
done
succeeds 'train --json' "$GRADUS" tokenizer train text --vocab-size 330 -o again.json --json
has_keys 'train --json' out file kind vocab_size bytes seconds note
grep -q 'wrote  again.json: bpe:330, 330 tokens' err || fail train 'to say what it wrote' "$(cat err)"
same_file 'bpe is the kind that is meant' bpe.json again.json
succeeds 'two texts' "$GRADUS" tokenizer train text text --kind words --vocab-size 100 -o again.json -q
sed 's/.*/{"text": "&\\n"}/' text > lines.jsonl
succeeds 'train from .jsonl' "$GRADUS" tokenizer train lines.jsonl --kind words --vocab-size 100 -o again.json -q
same_file 'the texts of a .jsonl are those of the file' words.json again.json
succeeds 'train --special' "$GRADUS" tokenizer train text --vocab-size 330 --special '<a>,<b c>' -o special.json -q
tokenizer encode special.json '<a><b c>' -q > out
equal 'special tokens of one'"'"'s own' '328 329' "$(cat out)"
succeeds 'train --memory' "$GRADUS" tokenizer train text --vocab-size 330 --memory 64MB -o again.json -q
same_file 'memory enough' bpe.json again.json
ok 'train: every kind, from a file, a folder and standard input, on one and two threads, gives the same bytes'

untouched() { [ ! -e new.json ] || fail "$1" 'nothing written' "$(ls -l new.json)"; }
train() { refuses "$1" "$2" "$GRADUS" tokenizer train "${@:3}"; untouched "train ${*:3}"; }
printf 'good \303\251\nbad \303\050 text\n' > latin
: > empty
mkdir nothing
train 2 '-o FILE must be given' text
train 2 'TEXT is required' -o new.json
train 2 '--kind: must be one of bpe spm-bpe|did you mean unigram?' text --kind unigramm -o new.json
train 2 'at least 257|256 was asked for' text --vocab-size 256 -o new.json
train 2 'at least 257' text --vocab-size -5 -o new.json
for kind in spm-bpe unigram; do train 2 'more than 259' text --kind $kind --vocab-size 259 -o new.json; done
train 2 'must have more than 5 entries' text --kind wordpiece --vocab-size 5 -o new.json
train 2 'more than 1 entries' text --kind words --vocab-size 1 -o new.json
train 2 '--vocab-size: must be a whole number' text --vocab-size many -o new.json
train 2 "a special token must not be what text is made of|'e' is a byte" text --special 'e' -o new.json
train 2 "'▁the' is a word with its space" text --kind unigram --spaces sentencepiece --special '<unk>,▁the' -o new.json
train 2 "'<0x41>' is a byte" text --kind unigram --special '<unk>,<0x41>' -o new.json
train 2 '--spaces has no effect with --kind bpe' text --spaces exact -o new.json
train 2 '--spaces: must be one of exact sentencepiece' text --kind unigram --spaces some -o new.json
train 2 "'<a>' stands twice or is empty" text --special '<a>,<a>' -o new.json
train 2 "'' stands twice or is empty" text --special '<a>,' -o new.json
train 2 'needs [UNK]' text --kind wordpiece --special '<a>' -o new.json
for memory in abc 0 -1 1XB 5MBB 1e30GB nan inf '1 GB'; do
  train 2 "--memory: a size such as 512MB or 2GB must be given; it is '$memory'" text --memory "$memory" -o new.json
done
train 2 'memory_bytes must be 0 (no limit) or at least 16777216' text --memory 1kB -o new.json
train 1 'none: cannot be opened; No such file' none -o new.json
for kind in spm-bpe unigram wordpiece words char; do
  # shellcheck disable=SC2046
  train 1 'latin: |UTF-8|byte' latin --kind $kind $(size $kind) -o new.json
done
train 2 "--memory: a size such as 512MB or 2GB must be given; it is '0.5'" text --vocab-size 330 --memory 0.5 -o new.json
echo '{"pair": "x"}' > bad.jsonl
train 1 'bad.jsonl:1: the object must have the key "text"' bad.jsonl -o new.json
echo 3 > number.jsonl
train 1 'number.jsonl:1: a line must hold a JSON string or object; it is 3' number.jsonl -o new.json
train 1 'empty: the text must not be empty' empty -o new.json
train 1 'nothing: the folder must hold text files; it holds none' nothing -o new.json
refuses 1 'text/new.json' "$GRADUS" tokenizer train text --vocab-size 330 -o text/new.json -q
refuses 1 'failed at byte|File too large' \
  bash -c 'trap "" XFSZ; ulimit -f 2; exec "$@"' - "$GRADUS" tokenizer train text --vocab-size 330 -o new.json -q
untouched 'a full disk'
[ -z "$(find . -name '*partial*')" ] || fail 'a full disk' 'nothing half-written left' "$(ls)"
ok 'train refuses what is given wrongly, and a disk that is full, and writes nothing'

# ---- Encoding and decoding ----

printf ' the king \t went\n\n  caf\303\251, \342\202\254 5 \360\237\230\200 "sea".\n' > utf8
printf 'the \377\376 king\200\n\342\202 sea' > bytes
printf '   the\342\226\201king  <0x41> </s> a\000b\r\n\t ' > odd
# round_trip KIND FILE
round_trip() {
  local out
  for out in ids.npy ids.bin; do
    succeeds "encode $1 $out" "$GRADUS" tokenizer encode "$1.json" --input "$2" --force-text --special off -o $out -q
    tokenizer decode "$1.json" --input $out > back || fail "decode $1 $out" 'exit 0' 'another'
    same_file "$1: $2 to $out and back" "$2" back
  done
  tokenizer encode "$1.json" --input "$2" --force-text --special off -q > ids
  tokenizer decode "$1.json" --input ids > back
  same_file "$1: $2 to ids and back" "$2" back
  tokenizer encode "$1.json" --input - --force-text --special off -q < "$2" > again
  same_file "$1: standard input" ids again
  # shellcheck disable=SC2046
  tokenizer decode "$1.json" $(cat ids) > again
  { cat "$2"; echo; } > back
  same_file "$1: ids as arguments" back again
}
for kind in bpe spm-bpe unigram byte; do
  for file in utf8 odd; do round_trip $kind $file; done
done
for kind in bpe byte; do round_trip $kind bytes; done
head -n 5 text > known
round_trip char known
equal '.bin: two bytes an id' $(($(wc -w < ids) * 2)) "$(wc -c < ids.bin)"
tokenizer encode wordpiece.json 'The KING, the sea' -q > ids
# shellcheck disable=SC2046
equal 'wordpiece: in lower case, as words' 'the king' "$(tokenizer decode wordpiece.json $(tokenizer encode wordpiece.json 'The KING' -q) --skip-special)"
for kind in spm-bpe unigram wordpiece words; do
  refuses 1 'bytes: |UTF-8|byte 4' "$GRADUS" tokenizer encode $kind.json --input bytes
done
refuses 1 "text 1: |'Q' (U+0051) at byte 4 is not" "$GRADUS" tokenizer encode char.json 'the Q' the
ok 'encode and decode: any bytes through bpe and byte, any text through spm-bpe and unigram, as ids, .npy and .bin'

printf 'the king\r\n\nwent, the sea\n' > list
printf '%s\n' '"the king"' '""' '{"text": "went, the sea"}' > list.jsonl
tokenizer encode bpe.json 'the king' '' 'went, the sea' -q > three
equal 'a line a text' 3 "$(lines three)"
tokenizer encode bpe.json --input list --lines -q > out
same_file '--lines' three out
tokenizer encode bpe.json --input list.jsonl -q > out
same_file '.jsonl' three out
tokenizer encode bpe.json --input list --lines -q --threads 1 > out
same_file '--lines on one thread' three out
sed 's/ /,/g; s/^/[/; s/$/]/' three > ids.jsonl
tokenizer decode bpe.json --input ids.jsonl > out
tr -d '\r' < list > back
same_file 'decode of .jsonl' back out
tokenizer encode bpe.json --input list.jsonl --json > out
equal '--json: a line a text' 3 "$(lines out)"
head -n 1 out > line
has_keys 'encode --json' line ids pieces offsets
printf '%s\n' '{"text": "the king", "pair": "the sea"}' > pair.jsonl
tokenizer encode wordpiece.json --input pair.jsonl --json > out
has_keys 'a pair' out ids pieces offsets type_ids
equal 'a pair' '[CLS] [SEP] [SEP]' "$(grep -o '\[[A-Z]*\]' out | xargs)"
equal '--special on' '[CLS],the,king,[SEP]' "$(tokenizer encode wordpiece.json 'the king' --json | sed 's/.*pieces":\[\([^]]*\(\][^]]*\)\{2\}\)\],"off.*/\1/; s/"//g')"
# Whatever is asked for, `encode` cuts and pads as the file says.
sed 's/"truncation": null/"truncation": {"direction":"Right","max_length":4,"strategy":"LongestFirst","stride":0}/' wordpiece.json > cutting.json
for special in on off; do
  equal "a tokenizer that cuts, --special $special" 4 "$(tokenizer encode cutting.json --special $special 'the king went to the sea' -q | wc -w)"
  equal "show of it, --special $special" 4 "$(tokenizer show cutting.json --special $special 'the king went to the sea' -q | wc -l)"
done
equal 'show: a line a token' 'e \n e' "$(tokenizer show char.json $'e\ne' -q | awk '{ print $3 }' | xargs -d '\n')"
equal '--special off' 'the king' "$(tokenizer show wordpiece.json 'the king' --special off -q | awk '{ print $3 }' | xargs)"
equal '--parse-special on' 329 "$(tokenizer encode bpe.json '<|endoftext|>' -q)"
[ "$(tokenizer encode bpe.json '<|endoftext|>' --parse-special off -q | wc -w)" -gt 1 ] || fail '--parse-special off' 'several tokens' one
equal decode '<|endoftext|>a' "$(tokenizer decode bpe.json 329 64)"
equal 'decode of standard input' '<|endoftext|>a' "$(echo 329 64 | tokenizer decode bpe.json --input -)"
equal 'decode --skip-special' a "$(tokenizer decode bpe.json 329 64 --skip-special)"
equal 'decode --json' '"a\u0001"' "$(tokenizer decode bpe.json 64 189 --json)"
offsets() { sed 's/.*offsets":\(.*\)}/\1/' out; }
tokenizer encode bpe.json $'\303\251a\377b' --json > out
equal '--offsets byte' '[[0,1],[1,2],[2,3],[3,4],[4,5]]' "$(offsets)"
tokenizer encode bpe.json $'\303\251a\377b' --json --offsets char > out
equal '--offsets char' '[[0,1],[0,1],[1,2],[2,3],[3,4]]' "$(offsets)"
equal 'show --offsets char' '0-1 0-1 1-2' "$(tokenizer show bpe.json $'\303\251a' --offsets char -q | awk '{ print $2 }' | xargs)"
ok 'encode: texts, lines, .jsonl, pairs, special tokens, offsets in bytes and characters'

encode() { refuses "$1" "$2" "$GRADUS" tokenizer encode "${@:3}"; }
decode() { refuses "$1" "$2" "$GRADUS" tokenizer decode "${@:3}"; }
encode 2 'either texts or --input FILE' bpe.json
encode 2 'either texts or --input FILE' bpe.json the --input text
encode 2 'leave out --lines' bpe.json --input list.jsonl --lines
encode 2 '--json prints, -o writes' bpe.json the --json -o ids.npy
encode 2 "must name a .npy or a .bin file; it is 'ids.txt'" bpe.json the -o ids.txt
encode 2 '--special: must be one of on off' bpe.json the --special maybe
encode 2 '--offsets: must be one of byte char' bpe.json the --offsets word
encode 1 'none.json: cannot be opened' none.json the
encode 1 'empty: must be one of|it is empty' empty the
encode 1 'text: must be one of|it is none of them' text the
encode 1 'nothing: a folder must hold' nothing the
encode 1 'none: cannot be opened' bpe.json --input none
encode 2 '-x is not an option' bpe.json -x
equal 'a text that begins as an option' '12 87' "$(tokenizer encode bpe.json -q -- -x)"
printf '"the"\n{"txt": "king"}\n' > wrong.jsonl
encode 1 'wrong.jsonl:2|text' bpe.json --input wrong.jsonl
printf '"the"\n\n' > wrong.jsonl
encode 1 'wrong.jsonl:2: a line must hold a JSON string or object; it is empty' bpe.json --input wrong.jsonl
decode 2 'either ids or --input FILE' bpe.json
decode 2 "'king' is none" bpe.json king
decode 2 '330' bpe.json 330
decode 2 "'99999999999' is none" bpe.json 99999999999
head -c 5 ids.bin > odd.bin
decode 1 'odd.bin: must hold ids of 2 bytes each; it has 5 bytes' bpe.json --input odd.bin
printf '[1, -1]\n[2]\n' > wrong.jsonl
decode 1 'wrong.jsonl:1|it is -1' bpe.json --input wrong.jsonl
head -c 20 ids.npy > cut.npy
decode 1 'cut.npy' bpe.json --input cut.npy
# Ctrl-C while standard input is read: more is written than a pipe holds, so that the program is at it.
mkfifo typed
for signal in INT TERM HUP; do
  attended "$GRADUS" tokenizer encode bpe.json --input - < typed > out 2> err &
  pid=$!
  exec 9> typed
  head -c 200000 /dev/zero | tr '\0' a >&9
  kill -$signal $pid
  wait $pid
  equal "SIG$signal while reading" 130 $?
  exec 9>&-
  equal "SIG$signal while reading" 'gradus: interrupted' "$(cat err)"
done
ok 'a signal while standard input is read: exit 130, quietly'
refuses 2 'TEXT or --input FILE' "$GRADUS" tokenizer show bpe.json
refuses 2 'TEXT or --input FILE, not both' "$GRADUS" tokenizer show bpe.json the --input text
refuses 2 "'encod' is not an action; did you mean encode?" "$GRADUS" tokenizer encod bpe.json the
refuses 2 'an action must follow: train, encode, decode, show and compare' "$GRADUS" tokenizer
refuses 1 'failed at byte|File too large' \
  bash -c 'trap "" XFSZ; ulimit -f 2; exec "$@"' - "$GRADUS" tokenizer encode byte.json --input text -o new.npy -q
[ ! -e new.npy ] || fail 'encode on a full disk' 'nothing written' "$(ls -l new.npy)"
if [ -c /dev/full ]; then
  tokenizer encode byte.json --input text > /dev/full 2> err
  equal 'encode to a full stdout' 1 $?
  grep -q 'stdout: cannot write; No space left' err || fail 'encode to a full stdout' 'the reason' "$(cat err)"
fi
ok 'encode, decode and show refuse what is given wrongly'

# ---- Comparing and timing ----

succeeds 'compare --json' "$GRADUS" tokenizer compare bpe.json unigram.json byte.json words.json --input text --json
has_keys 'compare --json' out bytes words tokenizers file kind tokens tokens_per_word bytes_per_token unknown_rate \
  megabytes_per_second agreement
equal 'compare: the first agrees with itself' 1.0 "$(grep -o '"agreement":[0-9.]*' out | head -n 1 | cut -d: -f2)"
equal 'compare: tokens of byte are bytes' "$(wc -c < text)" "$(grep -o '"tokens":[0-9]*' out | sed -n 3p | cut -d: -f2)"
succeeds 'compare' "$GRADUS" tokenizer compare bpe.json unigram.json --input list --lines
equal 'compare: a line each, below a head' 3 "$(lines out)"
printf 'the zebra the king\n' > zebra
for kind in words wordpiece; do
  succeeds "compare, $kind" "$GRADUS" tokenizer compare $kind.json --input zebra --json
  equal "compare: a quarter of $kind is unknown" 0.25 "$(grep -o '"unknown_rate":[0-9.]*' out | cut -d: -f2)"
done
refuses 2 '--input FILE must be given' "$GRADUS" tokenizer compare bpe.json
refuses 1 'unigram.json: cannot encode text 2 of latin: |byte 4 begins no character' "$GRADUS" tokenizer compare bpe.json unigram.json --input latin --lines
refuses 1 'empty: must hold words' "$GRADUS" tokenizer compare bpe.json --input empty
refuses 2 'DIR|FILE' "$GRADUS" tokenizer compare --input text
succeeds 'bench tokenizer' "$GRADUS" bench tokenizer bpe.json --input text --with-offsets --json -q
has_keys 'bench tokenizer --json' out threads tokenizer bytes texts tokens load_seconds cold_megabytes_per_second \
  warm_megabytes_per_second cold_scaled warm_scaled peak_gflops
equal 'bench tokenizer: tokens' "$(tokenizer encode bpe.json --input text -q | wc -w)" "$(json out tokens)"
refuses 2 '--input FILE must be given' "$GRADUS" bench tokenizer bpe.json
refuses 1 'empty: must hold a text' "$GRADUS" bench tokenizer bpe.json --input empty
ok 'compare and bench tokenizer give the figures they promise'

# ---- Other formats ----

# converted FROM TO KIND: TO gives the ids of FROM.
converted() {
  succeeds "convert $1 to $2" "$GRADUS" convert "$1" -o "$2" -q
  tokenizer encode "$1" --input utf8 --special off -q > expected
  tokenizer encode "$2" --input utf8 --special off -q > ids
  same_file "ids of $1 and $2" expected ids
}
mkdir gpt2 bert llama
for kind in bpe spm-bpe unigram wordpiece words byte; do
  converted $kind.json copy.json
  same_file "convert: $kind stays as it is" $kind.json copy.json
done
converted bpe.json gpt2/vocab.json
[ -s gpt2/merges.txt ] || fail 'convert to vocab.json' 'a merges.txt beside it' "$(ls gpt2)"
converted gpt2/vocab.json back.json
converted gpt2 back.json
converted wordpiece.json bert/vocab.txt
converted bert back.json
for kind in unigram spm-bpe; do
  succeeds "train $kind --spaces sentencepiece" "$GRADUS" tokenizer train text --kind $kind --vocab-size 330 \
    --spaces sentencepiece -o marked.json -q
  converted marked.json llama/tokenizer.model
done
grep -q '^note .*does not say which special tokens stand around a text' <("$GRADUS" convert marked.json -o noted.model 2>&1) ||
  fail 'convert to .model' 'to tell what is left out' nothing
! grep -q '^note' <("$GRADUS" convert bpe.json -o noted.json 2>&1) || fail 'convert to .json' 'nothing to tell' 'a note'
converted llama back.json
converted llama/tokenizer.model again.model
converted again.model third.model
same_file 'a .model, read and written' again.model third.model
succeeds 'convert --json' "$GRADUS" convert bpe.json -o copy.json --json
has_keys 'convert --json' out files kind
grep -q 'wrote  copy.json: .*, tokenizer bpe:330' err || fail 'convert' 'to say what it wrote' "$(cat err)"
# Ranks as r50k_base has them, in number and in the tokens that it is known by; the rest is made up.
awk 'BEGIN {
  split("A B C D E F G H I J K L M N O P Q R S T U V W X Y Z a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9 + /", d, " ")
  for (i = 0; i < 256; ++i) print d[1 + int(i / 4)] d[1 + i % 4 * 16] "== " i
  known[10000] = "IHBvY2tldA=="; known[50000] = "IGdyaWRz"; known[50255] = "IGdhemVk"
  for (; i < 50256; ++i) print (i in known ? known[i] : "d" d[1 + int(i / 4096)] d[1 + int(i / 64) % 64] d[1 + i % 64]) " " i
}' > r50k_base.tiktoken
converted r50k_base.tiktoken again.tiktoken
same_file 'ranks, read and written' r50k_base.tiktoken again.tiktoken
head -n 256 r50k_base.tiktoken > ranks.tiktoken
refuses 1 'ranks.tiktoken: the ranks must be those of a published encoding|256' "$GRADUS" tokenizer encode ranks.tiktoken the
convert() { refuses "$1" "$2" "$GRADUS" convert "${@:3}"; }
convert 2 '-o FILE must be given' bpe.json
convert 2 'the name must end in .json, .model, .tiktoken or .txt' bpe.json -o new.bin
convert 2 'a merges.txt is written together with its vocab.json' bpe.json -o merges.txt
convert 2 'a vocab.txt can hold only a WordPiece|BPE' bpe.json -o new.txt
convert 2 'these 329 ranks are of none; write a tokenizer.json' bpe.json -o new.tiktoken
convert 2 'a SentencePiece model can hold only' bpe.json -o new.model
convert 2 'a SentencePiece model can hold only' wordpiece.json -o new.model
convert 2 'a file of ranks can hold only a byte-level BPE' unigram.json -o new.tiktoken
convert 2 'vocab.json with merges.txt can hold only a byte-level BPE' spm-bpe.json -o vocab.json
convert 1 'none.json: cannot be opened' none.json -o new.json
head -c 400 bpe.json > cut.json
convert 1 cut.json cut.json -o new.json
convert 1 'nowhere/new.json: cannot be written' bpe.json -o nowhere/new.json
for kind in unigram spm-bpe; do
  convert 2 'tells spaces from U+2581|train one with --spaces sentencepiece' $kind.json -o new.model
done
refuses 1 'failed at byte|File too large' bash -c 'trap "" XFSZ; ulimit -f 2; exec "$@"' - "$GRADUS" convert bpe.json -o new.json -q
mkdir -p half/merges.txt
convert 1 'half/merges.txt' bpe.json -o half/vocab.json
[ ! -e half/vocab.json ] || fail 'a merges.txt that cannot be written' 'no vocab.json without it' "$(ls half)"
for file in new.bin new.txt new.model new.tiktoken new.json vocab.json merges.txt; do
  [ ! -e $file ] || fail 'a refused conversion' 'nothing written' "$(ls -l $file)"
done
ok 'convert: six kinds to the formats that can hold them, and back; the others are refused, and nothing is written'

# ---- Models ----

# Large vocabularies make large models, so the model itself is small.
model='--n-layer 1 --n-head 2 --n-embd 8 --block-size 16 --batch-size 2 --max-iters 3 --eval-interval 0'
for file in unigram.json wordpiece.json spm-bpe.json llama/tokenizer.model r50k_base.tiktoken; do
  rm -rf run
  # shellcheck disable=SC2086
  succeeds "train a model on $file" "$GRADUS" train text -o run --tokenizer $file $model -q
  tokenizer encode $file 'the king went' -q > expected
  tokenizer encode run 'the king went' -q > ids
  same_file "the run has the tokenizer of $file" expected ids
  succeeds "generate with $file" "$GRADUS" generate run -p 'the king' -n 5 --seed 3 --json
  grep -q '"stop_reason"' out || fail "generate with $file" 'a text' "$(cat out)"
  succeeds "resume with $file" "$GRADUS" resume run --max-iters 4 -q
done
cp unigram.json run/tokenizer.json
refuses 1 'run/tokenizer.json' "$GRADUS" resume run --max-iters 5
refuses 1 'run: the tokenizer must have the model'"'"'s vocabulary' "$GRADUS" generate run -p the --json
# shellcheck disable=SC2086
refuses 1 'ranks.tiktoken: the ranks must be those of a published encoding' "$GRADUS" train text -o new --tokenizer ranks.tiktoken $model
[ ! -e new ] || fail 'a refused tokenizer' 'no run folder' "$(ls new)"
ok 'models train, generate and resume with tokenizers of other kinds and formats, and keep to their own'

# ---- The lesson ----

check_lesson tokenizer/README.md 15 '/##eal/s/59/60/' '/^"ed"/d' 's/^257 89.*/&\n/'
