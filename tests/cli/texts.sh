#!/usr/bin/env bash
# One reader of texts for every verb: files, folders, standard input, pipes and .jsonl; and what is no text.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"

make_text 200 > text
make_text 60 7 > other
size="--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --max-iters 3 --warmup 1 --eval-interval 3 -q"
train() {
  local out=$1
  shift
  # shellcheck disable=SC2086
  succeeds "train $*" "$GRADUS" train "$@" -o "$out" --tokenizer byte $size
}
same_model() { same_file "$1" "$2/model.safetensors" "$3/model.safetensors"; }
# json_lines FILE...: a line for each file, its contents as one text.
json_lines() { awk 'FNR == 1 && NR > 1 { print "\"}" } FNR == 1 { printf "{\"n\":1,\"text\":\"" } { gsub(/"/, "\\\""); printf "%s\\n", $0 } END { print "\"}" }' "$@"; }

# ---- The same text, wherever it comes from ----

mkdir -p books/below books/.git
cp text books/below/a.txt
cp other books/b.txt
printf 'hidden' > books/.hidden
printf 'not text' > books/.git/config
: > books/empty
mkfifo books/pipe
json_lines books/b.txt books/below/a.txt > both.jsonl
mkfifo pipe
train files books/b.txt books/below/a.txt
train folder books
same_model 'a folder is its files by name' files folder
train lines both.jsonl
same_model 'a .jsonl is its texts' files lines
sed 's/"text"/"body"/' both.jsonl > body.jsonl
train key body.jsonl --text-key body
same_model '--text-key' files key
# shellcheck disable=SC2086
refuses 1 'body.jsonl:1: the object must have the key "text"|--text-key' "$GRADUS" train body.jsonl -o new --tokenizer byte $size
train one text
# shellcheck disable=SC2086
"$GRADUS" train - -o typed --tokenizer byte $size < text || fail 'train -' 'exit 0' "exit $?"
same_model 'standard input' one typed
cat text > pipe &
train piped pipe
same_model 'a pipe' one piped
(
  # Byte for byte what a terminal would see, so without -q.
  # shellcheck disable=SC2086
  "$GRADUS" train books -o told --tokenizer byte ${size% -q} 2> err || fail 'train a folder' 'exit 0' "$(cat err)"
  grep -q '^note   2 hidden, 1 empty, 1 of no text files passed over' err || fail 'train a folder' 'what was passed over' "$(cat err)"
)
ok 'train: files, a folder, .jsonl, standard input and a pipe are the same text'

# What nobody can read again stays in the run.
for run in typed piped lines folder; do
  [ $run != piped ] || rm pipe
  succeeds "resume $run" "$GRADUS" resume $run --max-iters 5 -q
done
succeeds 'resume one' "$GRADUS" resume one --max-iters 5 -q
for run in typed piped; do
  same_model "resume $run" one $run
  same_file "the text kept in $run" text $run/input-1.txt
done
mv typed moved
succeeds 'resume a run that was moved' "$GRADUS" resume moved --max-iters 6 -q
succeeds 'neighbors of a run from standard input' "$GRADUS" neighbors piped king -q
ok 'what was read from standard input or a pipe can be resumed, and looked at'

evaluate() {
  local what=$1
  shift
  succeeds "eval $what" "$GRADUS" eval one --json "$@"
}
evaluate file --input other
cp out expected
mkfifo pipe
evaluate - --input - < other
same_file 'eval -' expected out
cat other > pipe &
evaluate pipe --input pipe
same_file 'eval pipe' expected out
json_lines other > other.jsonl
evaluate .jsonl --input other.jsonl
same_file 'eval .jsonl' expected out
mkdir single
cp other single/x
evaluate folder --input single
same_file 'eval folder' expected out

head -n 5 text | cut -c1-16 > list
awk '{ print "\"" $0 "\"" }' list > list.jsonl
printf '\357\273\277' | cat - list > marked
mkdir lists
head -n 2 list > lists/a
tail -n 3 list > lists/b
embed() {
  succeeds "embed $*" "$GRADUS" embed one "$@" -o vectors.npz -q
}
embed --input list
cp vectors.npz expected.npz
for from in list.jsonl marked lists -; do
  embed --input $from < list
  same_file "embed --input $from" expected.npz vectors.npz
done
cat list > pipe &
embed --input pipe
same_file 'embed --input pipe' expected.npz vectors.npz
ok 'eval and embed: a file, a folder, .jsonl, standard input and a pipe are the same texts'

encode() { "$GRADUS" tokenizer encode one -q "$@"; }
encode --input other > expected
for from in - other.jsonl single; do
  encode --input $from < other > out
  same_file "tokenizer encode --input $from" expected out
done
encode --input list --lines > expected
encode --input lists --lines > out
same_file 'lines of a folder' expected out
"$GRADUS" tokenizer train text --vocab-size 300 -o a.json -q
cat text > pipe &
succeeds 'tokenizer train pipe' "$GRADUS" tokenizer train pipe --vocab-size 300 -o b.json -q
same_file 'tokenizer train pipe' a.json b.json
for verb in 'tokenizer show one' 'tokenizer compare one a.json'; do
  # shellcheck disable=SC2086
  succeeds "$verb" "$GRADUS" $verb --input single -q
done
succeeds 'neighbors --text' "$GRADUS" neighbors one king --text both.jsonl -q
ok "the tokenizer's verbs and neighbors read the same"

# ---- What is no text ----

gzip -c text > text.gz
printf 'a\0b' > zero
printf 'a\0b%.0s' $(seq 40) > zeros
while read -r code text verb; do
  for file in text.gz zero; do
    # shellcheck disable=SC2086
    refuses 1 "$file: must be text; |--force-text" "$GRADUS" ${verb/FILE/$file}
  done
done << END
1 x train FILE -o new --tokenizer byte
1 x eval one --input FILE
1 x embed one --input FILE -o new.npz
1 x neighbors one king --text FILE
1 x tokenizer train FILE -o new.json
1 x tokenizer encode one --input FILE
1 x tokenizer show one --input FILE
1 x tokenizer compare one --input FILE
END
[ ! -e new ] && [ ! -e new.npz ] && [ ! -e new.json ] || fail 'what is no text' 'nothing written' "$(ls)"
evaluate --force-text --input zero --force-text
train forced zeros --force-text
succeeds 'resume of it' "$GRADUS" resume forced --max-iters 5 -q
ok 'a compressed file and zero bytes are refused by every verb, unless --force-text'

# A name that is not UTF-8.
odd=$(printf 'na\377me')
cp text "$odd.txt"
train odd "$odd.txt"
[ -s odd/model.safetensors ] || fail 'a name that is not UTF-8' 'weights' "$(ls odd)"
succeeds 'resume of a text whose name is not UTF-8' "$GRADUS" resume odd --max-iters 5 -q
same_model 'a text whose name is not UTF-8, resumed' piped odd
(
  # shellcheck disable=SC2086
  succeeds 'the default folder' "$GRADUS" train "$odd.txt" --tokenizer byte $size
  [ -s "runs/$odd/model.safetensors" ] || fail 'the default folder' "runs/$odd" "$(ls runs)"
)
succeeds 'an output whose name is not UTF-8' "$GRADUS" embed one 'the king' -o "$odd.npz" --json
is_json out || fail "--json with a name that is not UTF-8" 'JSON' "$(cat out)"
ok 'names that are not UTF-8 work'

# ---- Folders and files of others ----

mkdir theirs
echo 'my notes' > theirs/README.md
echo '{}' > theirs/tokenizer.json
echo 'line' > theirs/metrics.jsonl
cp -r theirs before
# shellcheck disable=SC2086
refuses 2 'theirs must be a new or empty folder; it holds README.md, metrics.jsonl, tokenizer.json' \
  "$GRADUS" train text -o theirs --tokenizer byte $size
# shellcheck disable=SC2086
(cd theirs && refuses 2 '. must be a new or empty folder; it holds ' "$GRADUS" train ../text -o . --tokenizer byte $size && rm out err) || exit 1
diff -r before theirs > difference || fail "somebody's folder" 'as it was' "$(cat difference)"
mkdir empty-folder
train empty-folder text
# shellcheck disable=SC2086
refuses 2 'text must be a folder; a file of that name is in the way' "$GRADUS" train other -o text --tokenizer byte $size
# What a training leaves that died before its first checkpoint is in nobody's way; what somebody put beside it is.
mkdir begun
cp one/README.md one/config.json begun
: > begun/tokenizer.json.12-0.partial
train begun text
mkdir mixed
cp one/README.md one/config.json mixed
echo mine > mixed/thesis.txt
# shellcheck disable=SC2086
refuses 2 'mixed must be a new or empty folder; it holds thesis.txt, which' "$GRADUS" train text -o mixed --tokenizer byte $size
ok 'train -o refuses a folder that holds anything else, and leaves it as it was'

cp text copy
ln copy linked
mkdir deep
mv copy deep/copy
cp list.jsonl v.npz.tokens.jsonl
cp list v.npz
cp text a.npy
cp -r one model
ln -s a.json a.json.npy
mkdir pair linked-pair
cp a.json pair/merges.txt
cp a.json pair/other.json
ln -s ../pair/other.json linked-pair/merges.txt
while read -r command; do
  # shellcheck disable=SC2086
  refuses 2 'must not name a file that is read' "$GRADUS" $command
done << END
tokenizer train linked -o linked
tokenizer train linked -o ./linked
tokenizer train deep -o linked
tokenizer encode one --input a.npy -o a.npy
convert a.json -o a.json
embed model --input v.npz.tokens.jsonl -o v.npz
embed model --input v.npz -o v.npz
embed model text -o model/model.safetensors
tokenizer encode a.json king -o a.json.npy
convert pair/merges.txt -o pair/vocab.json
convert pair/other.json -o linked-pair/vocab.json
END
mkdir alone
echo precious > alone/merges.txt
refuses 2 'alone/merges.txt would be replaced, which is not the one of alone/vocab.json' "$GRADUS" convert a.json -o alone/vocab.json
equal 'a file that nobody named' precious "$(cat alone/merges.txt)"
rm alone/merges.txt
succeeds 'convert to a pair' "$GRADUS" convert a.json -o alone/vocab.json -q
succeeds 'convert to the pair again' "$GRADUS" convert a.json -o alone/vocab.json -q
rm -r alone
ok 'an output that is one of the inputs, by whatever name, is refused'

# ---- A file that changes while it is read ----

make_text 5000 > long
mkfifo gate
"$GRADUS" tokenizer train long gate -o new.json -q > out 2> err &
pid=$!
# The pipe is opened once the long file is mapped; that is cut short before the pipe ends.
(
  exec 3> gate
  : > long
) &
wait $pid
code=$?
kill $! 2> kill_error
equal 'exit code' 1 $code
grep -q "long: the file must stay as it is while it is read; byte [0-9]* is gone" err ||
  fail 'a file that is cut short' 'its name, and where' "$(cat err)"
[ ! -e new.json ] || fail 'a file that is cut short' 'nothing written' new.json
ok 'a file that is cut short while it is read is an error that names it and the byte'

# ---- Two writers of one output ----

yes 'the king and the queen' | head -n 3000 | awk '{ print substr($0, 1 + NR % 7, 16) }' > many
for name in pair.npz pair.safetensors; do
  for i in 1 2 3; do
    "$GRADUS" embed one --input many -o $name -q &
    first=$!
    "$GRADUS" embed one --input list -o $name -q &
    wait $first || fail 'the first writer' 'exit 0' "exit $?"
    wait $! || fail 'the second writer' 'exit 0' "exit $?"
    "$GRADUS" embed one --input many -o expected.many.${name#*.} -q
    "$GRADUS" embed one --input list -o expected.list.${name#*.} -q
    cmp -s $name expected.many.${name#*.} || cmp -s $name expected.list.${name#*.} ||
      fail 'two writers of one file' 'the bytes of one of them' "$(ls -l $name expected.*)"
    [ -z "$(find . -maxdepth 1 -name '*.partial')" ] || fail 'two writers' 'nothing left' "$(ls)"
  done
done
for name in pair.npz pair.safetensors; do
  succeeds "embed $name" "$GRADUS" embed one --input list -o $name -q
  succeeds "info $name" "$GRADUS" info $name
  grep -q "^rows .*$name.tokens.jsonl describes them" out || fail "info $name" 'that the rows belong to it' "$(cat out)"
  "$GRADUS" embed one --input many -o other.$name -q
  cp other.$name.tokens.jsonl $name.tokens.jsonl
  succeeds "info $name" "$GRADUS" info $name
  grep -q "^rows .*is missing or of another writer" out || fail "info $name" 'that the rows are not its own' "$(cat out)"
done
ok 'of two writers of one output one wins, whole, and a reader can tell whose rows stand beside it'

# What belongs together takes its place together, or not at all.
for name in pair.npz pair.safetensors; do
  "$GRADUS" embed one --input list -o $name -q
  cat $name $name.tokens.jsonl > before.pair
  refuses 1 'File too large|unchanged' bash -c 'ulimit -f 4; exec "$@"' - "$GRADUS" embed one --input many -o $name -q
  cat $name $name.tokens.jsonl > after.pair
  same_file "$name after a disk was full" before.pair after.pair
  mkdir folder.$name
  refuses 1 'must be a file; it is a directory' "$GRADUS" embed one king -o folder.$name -q
  [ ! -e folder.$name.tokens.jsonl ] || fail 'rows without arrays' 'nothing written' "$(ls)"
done
[ -z "$(find . -maxdepth 1 -name '*.partial')" ] || fail 'a full disk' 'nothing left' "$(ls)"
: > nothing.txt
refuses 2 'at least one text must be given; there is none in nothing.txt' "$GRADUS" embed one --input nothing.txt -o new.npz
ok 'arrays and rows take their place together or not at all'

# ---- Links ----

mkdir far
ln -s far/target.npz link.npz
succeeds 'an output that is a link' "$GRADUS" embed one --input list -o link.npz -q
[ -L link.npz ] && same_file 'behind a link' expected.list.npz far/target.npz
for verb in 'tokenizer train text --vocab-size 300 -o link.json' 'convert a.json -o link.json' 'tokenizer encode one king -o link.npy'; do
  name=${verb##* }
  echo old > far/old
  ln -sf far/old "$name"
  # shellcheck disable=SC2086
  succeeds "$verb" "$GRADUS" $verb -q
  [ -L "$name" ] || fail "$verb" 'the link' "$(ls -l "$name")"
  [ "$(cat far/old | head -c 3)" != old ] || fail "$verb" 'the file behind the link replaced' old
done
ok 'an output that is a symbolic link is written through it'
