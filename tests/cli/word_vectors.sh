#!/usr/bin/env bash
# gradus vectors train and what belongs to it, from the outside: texts from everywhere, files of every kind, being stopped and
# killed, what is refused, and the lesson of models/word_vectors/README.md.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"
source_dir=${GRADUS_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
. "$source_dir/tests/cli/lesson.bash"

make_text 400 > text
small='--dim 8 --min-count 1 --sample 0'
epochs=2
methods='skipgram cbow glove fasttext fasttext-cbow'
options_of() {
  words="$small --bucket 100"
  [ "$1" != glove ] || words=${small% --sample 0}
  case $1 in skipgram | cbow) words=$small ;; esac
}
train() {
  local method=$1
  shift
  options_of "$method"
  # shellcheck disable=SC2086
  "$GRADUS" vectors train "$method" $words --epochs $epochs "$@"
}

mkdir folder
head -n 200 text > folder/a.txt
tail -n +201 text > folder/b.txt
sed 's/"/\\"/g; s/.*/{"text":"&"}/' text > text.jsonl
mkfifo pipe
for method in $methods; do
  succeeds "$method" train $method text -o one.vec -q
  [ ! -s err ] || fail "$method -q" 'nothing on stderr' "$(cat err)"
  [ ! -e one.run ] || fail "$method" 'no folder at the end' "$(ls one.run)"
  equal "$method: rows" "$(tr -s ' \n' '\n\n' < text | sed '/^$/d' | sort -u | wc -l)" "$(($(head -n 1 one.vec | cut -d ' ' -f 1) - $(grep -c '^</s> ' one.vec)))"
  succeeds "$method of a folder" train $method folder -o folder.vec -q
  same_file "$method of a folder" one.vec folder.vec
  succeeds "$method of files" train $method folder/a.txt folder/b.txt -o files.vec -q
  same_file "$method of files" one.vec files.vec
  succeeds "$method of lines of JSON" train $method text.jsonl -o lines.vec -q
  same_file "$method of lines of JSON" one.vec lines.vec
  train $method - -o typed.vec -q < text || fail "$method of standard input" 'exit 0' "exit $?"
  same_file "$method of standard input" one.vec typed.vec
  cat text > pipe &
  succeeds "$method of a pipe" train $method pipe -o piped.vec -q
  same_file "$method of a pipe" one.vec piped.vec
  succeeds "$method on one thread" train $method text -o single.vec --threads 1 -q
  same_file "$method on one thread" one.vec single.vec
  for file in one.txt one.bin one.npy one.safetensors kept; do
    succeeds "$method to $file" train $method text -o $file -q
    succeeds "get of $file" "$GRADUS" vectors get $file the king -q
    mv out "got.$file"
    same_file "$method: $file and one.txt hold the same" got.one.txt "got.$file"
  done
  succeeds "info of $method's folder" "$GRADUS" info kept
  grep -q "^training $method, " out && grep -q '^done     100.0 %$' out || fail "info of $method's folder" 'its training' "$(cat out)"
  succeeds "neighbors of $method's folder" "$GRADUS" neighbors kept king -k 2 -q
  refuses 2 'gradus resume kept' train $method text -o kept -q
  succeeds "resume of what has ended" "$GRADUS" resume kept -q
  rm -rf kept one.* *.vec got.*
done
ok 'all methods: files, folders, lines of JSON, standard input and pipes give the same; every kind of file holds it'

# Killed at any moment: either there is nothing to go on with, or it goes on to the same bytes.
for i in $(seq 40); do cat text; done > long
for method in $methods; do
  epochs=15
  [ $method != glove ] || epochs=150
  succeeds "$method whole" train $method long -o whole.vec -q
  for wait in 0.1 0.5; do
    options_of $method
    # shellcheck disable=SC2086
    ("$GRADUS" vectors train $method long -o part.vec $words --epochs $epochs -q & pid=$!; sleep $wait; kill -9 $pid; wait $pid) 2> /dev/null
    if [ -e part.run/vectors.state.safetensors ]; then
      succeeds "$method: resume" "$GRADUS" resume part.run -q
    elif [ ! -e part.vec ]; then
      succeeds "$method: again" train $method long -o part.vec -q
    fi
    same_file "$method after kill -9" whole.vec part.vec
    rm -rf part.vec part.run
  done
  # shellcheck disable=SC2086
  (trap - INT; "$GRADUS" vectors train $method long -o part.vec $words --epochs $epochs & pid=$!; sleep 0.5; kill -TERM $pid; wait $pid) 2> err
  if [ -e part.run ]; then
    grep -q 'continue with: gradus resume part.run' err || fail "$method: SIGTERM" 'how to go on' "$(cat err)"
    succeeds "info of $method's folder" "$GRADUS" info part.run --json
    succeeds "$method: resume" "$GRADUS" resume part.run --json
    is_json out || fail "resume --json" JSON "$(cat out)"
  fi
  same_file "$method after SIGTERM" whole.vec part.vec
  rm -rf whole.vec part.vec
done
epochs=2
ok 'all methods go on to the same bytes after kill -9 and SIGTERM'

succeeds 'a stopped training' train skipgram text -o kept -q
for damage in text.ids vocabulary.safetensors; do
  cp -r kept damaged
  printf 'x' >> damaged/$damage
  "$GRADUS" resume damaged -q > out 2> err && fail "a damaged $damage" 'to be refused' 'exit 0'
  grep -q "damaged/$damage" err || fail "a damaged $damage" 'its name' "$(cat err)"
  rm -r damaged
done
refuses 2 'goes on as it began; leave out --max-iters' "$GRADUS" resume kept --max-iters 3
refuses 2 'must be a training of glove; it is one of skipgram' "$GRADUS" vectors cooc kept the king
succeeds glove train glove text -o table -q
succeeds cooc "$GRADUS" vectors cooc table the king --json
is_json out || fail 'cooc --json' JSON "$(cat out)"
has_keys 'cooc --json' out word context count log_count weight fitted_log_count cells zero_share
mv out one
succeeds 'cooc the other way' "$GRADUS" vectors cooc table king the --json
equal 'the table is symmetric' "$(json one count)" "$(json out count)"
refuses 2 "'xyzzy' is not in the vocabulary" "$GRADUS" vectors cooc table the xyzzy
ok 'damaged folders are refused by name; cooc shows a cell'

: > empty
printf 'a\0b a\0b\n' > zero
printf 'caf\351 th\351 caf\351 th\351\n' > latin1
printf '\n\n\n' > lines
refuses 1 'must have a word that occurs at least 1 time' train skipgram empty -o w.vec
refuses 1 'must have a word that occurs at least 1 time' train skipgram lines -o w.vec
refuses 1 'zero: must be text|--force-text' train skipgram zero -o w.vec
refuses 1 'missing' train skipgram missing -o w.vec
refuses 2 '-o OUT must be given' "$GRADUS" vectors train skipgram text
refuses 2 "'word2vec' is not an action" "$GRADUS" vectors train word2vec text -o w.vec
refuses 2 'the learning rate is --lr' train cbow text -o w.vec --alpha 0.05
refuses 2 '--dim must be in' "$GRADUS" vectors train cbow text -o w.vec --dim 0
refuses 2 '--minn must be at most --maxn' train fasttext text -o w.vec --minn 5 --maxn 3
refuses 2 'give --epochs or --time' "$GRADUS" vectors train cbow text -o w.vec --epochs 3 --time 3s
refuses 1 'must hold words' "$GRADUS" vectors train cbow text -o w.vec --vocab empty
[ ! -e w.vec ] && [ ! -e w.run ] || fail 'what was refused' 'to leave nothing' "$(ls -d w.*)"
for method in $methods; do
  succeeds "$method of zero bytes" train $method zero -o w.vec --force-text -q
  equal "$method of zero bytes: words" "$(printf 'a\nb')" "$(tail -n +2 w.vec | cut -d ' ' -f 1 | grep -v '^</s>' | sort)"
  succeeds "$method of Latin-1" train $method latin1 -o w.vec -q
  equal "$method of Latin-1: bytes stay" 2 "$(grep -c -a "$(printf '^\\(caf\351\\|th\351\\) ')" w.vec)"
done
mkdir full && echo mine > full/file
refuses 2 'must be a new or empty folder; it holds file' train skipgram text -o full
mkdir others && echo mine > others/vectors.safetensors
refuses 2 'must be a new or empty folder; it holds vectors.safetensors' train skipgram empty -o others
equal 'vectors of somebody stay' mine "$(cat others/vectors.safetensors)"
cp text text.vec
refuses 2 'text.vec' train skipgram text.vec -o text.vec
same_file 'an input' text text.vec
ok 'what cannot be is refused by name, and leaves nothing'

printf 'tea milk\nbread butter\nbread butter jam\ntea milk\nbread jam\n' > some
for i in $(seq 60); do cat some; done > baskets
for method in skipgram cbow glove; do
  words='--input-format baskets --dim 8 --epochs 20'
  [ $method = glove ] || words="$words --sample 0"
  # shellcheck disable=SC2086
  succeeds "$method of baskets" "$GRADUS" vectors train $method baskets -o items.safetensors $words -q
  equal "$method recommends" butter "$("$GRADUS" neighbors items.safetensors bread -k 2 -q | tr -s ' \t' '\n\n' | grep -o butter)"
  succeeds "$method judged" "$GRADUS" eval items.safetensors --baskets some --recall-at 1 --json
  awk -v a="$(json out recall)" -v b="$(json out recall_popular)" 'BEGIN { exit !(a > b) }' || fail "$method of baskets" 'to be ahead of popularity' "$(cat out)"
done
ok 'baskets: neighbours are what goes together, ahead of popularity'

check_lesson models/word_vectors/README.md 15 's/^steteplar kokluia nakogir/steteplar kokluia/'
