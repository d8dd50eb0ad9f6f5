#!/usr/bin/env bash
# The verbs that look at vectors, with every kind of source: files of vectors in each format, pipes, outputs of embed, models;
# and the lesson of models/embeddings/README.md.
source_dir=${GRADUS_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
. "$(dirname "$0")/cli.bash"
. "$source_dir/tests/cli/lesson.bash"

printf '5 3\nking 1 2 3\nqueen 1 2 2.5\nman 2 1 0.5\nwoman 2 1 0.1\napple -1 0.25 3\n' > words.vec
expected=$(printf 'king   queen 1.00  apple 0.71 \nman   woman 0.98  king 0.64 ')

# One table in every format, and each in every other.
for name in words.txt words.bin words.npy words.safetensors; do
  succeeds "convert to $name" "$GRADUS" convert words.vec -o "$name"
done
for from in words.vec words.txt words.bin words.npy words.safetensors; do
  succeeds "neighbors of $from" "$GRADUS" neighbors "$from" king man -k 2 -q
  [ "$from" = words.vec ] && cp out first
  same_file "neighbors of $from" first out
  succeeds "info $from" "$GRADUS" info "$from" --json
  for to in again.vec again.txt again.bin again.npy again.safetensors; do
    succeeds "convert $from to $to" "$GRADUS" convert "$from" -o "$to" -q
    succeeds "neighbors of $to" "$GRADUS" neighbors "$to" king man -k 2 -q
    same_file "neighbors of $from as $to" first out
  done
done
ok 'word vectors: text with and without sizes, binary, npy with names, safetensors, each from each, with the same neighbours'

mkfifo pipe
for name in words.vec words.bin; do
  cat $name > pipe &
  succeeds "a pipe of $name" "$GRADUS" neighbors pipe king man -k 2 -q
  same_file "a pipe of $name" first out
  succeeds "$name on standard input" sh -c '"$0" neighbors - king man -k 2 -q < "$1"' "$GRADUS" $name
  same_file "$name on standard input" first out
done
refuses 2 'is a pipe; arrays are read from files' sh -c 'cat words.npy > pipe & exec "$0" neighbors pipe king' "$GRADUS"
ok 'vectors from pipes and standard input'

# What each verb says.
succeeds 'vectors get' "$GRADUS" vectors get words.vec queen 'king man' -q
equal 'vectors get' "$(printf 'queen 1 2 2.5\nking man 1.5 1.5 1.75')" "$(cat out)"
succeeds 'vectors get -' sh -c 'printf "queen\r\n\nking\n" | "$0" vectors get words.vec -' "$GRADUS"
equal 'vectors get -' "$(printf 'queen 1 2 2.5\nking 1 2 3')" "$(cat out)"
refuses 2 "'quen' is not; did you mean queen?" "$GRADUS" vectors get words.vec quen
refuses 2 'standard input can be the source or the words' "$GRADUS" vectors get - -
refuses 2 'give --top N or --words FILE' "$GRADUS" vectors trim words.vec -o trimmed.vec
succeeds 'vectors trim' "$GRADUS" vectors trim words.vec --top 2 -o trimmed.vec
equal 'vectors trim' "$(printf '2 3\nking 1 2 3\nqueen 1 2 2.5')" "$(cat trimmed.vec)"
printf 'apple\nzebra\nking\napple\n' > list
succeeds 'vectors trim --words' "$GRADUS" vectors trim words.vec --words list -o trimmed.txt
equal 'vectors trim --words' "$(printf 'apple -1 0.25 3\nking 1 2 3')" "$(cat trimmed.txt)"
grep -q '1 words of list have no row' err || fail 'vectors trim --words' 'a count' "$(cat err)"
printf 'king 9 9 9\npear 1 0 0\n' > more.txt
succeeds 'vectors merge' "$GRADUS" vectors merge trimmed.txt more.txt -o merged.txt
equal 'vectors merge: the first wins' "$(printf 'apple -1 0.25 3\nking 1 2 3\npear 1 0 0')" "$(cat merged.txt)"
succeeds 'vectors merge --concat' "$GRADUS" vectors merge trimmed.txt more.txt --concat -o merged.txt
equal 'vectors merge --concat' 'king 1 2 3 9 9 9' "$(cat merged.txt)"
printf 'pear 1 0\nplum 0 1\n' > narrow.txt
refuses 2 'they are 3 and 2 wide' "$GRADUS" vectors merge words.vec narrow.txt -o merged.txt
succeeds 'vectors reduce' "$GRADUS" vectors reduce words.vec --to 2 -o reduced.vec
equal 'vectors reduce' '5 2' "$(head -n 1 reduced.vec)"
succeeds 'vectors reduce --method truncate' "$GRADUS" vectors reduce words.vec --to 2 --method truncate -o reduced.vec
equal 'vectors reduce --method truncate' 'king 1 2' "$(sed -n 2p reduced.vec)"
refuses 2 'must be left with 1 to 3 numbers; 9 are asked for' "$GRADUS" vectors reduce words.vec --to 9 -o reduced.vec
refuses 2 '--to N must be given' "$GRADUS" vectors reduce words.vec -o reduced.vec
printf '3 2\na nan 1\nb 1 1\nc 2 1\n' > holed.vec
printf 'b\tx\na\ty\n' > holed.kinds
refuses 2 "that of 'a' holds a NaN" "$GRADUS" cluster holed.vec -k 2
refuses 2 "that of 'a' holds a NaN" "$GRADUS" eval holed.vec --cluster holed.kinds
# The same words in a space that is turned by a quarter, under other names.
awk 'NR > 1 { print "x" $1, -$3, $2, $4 }' words.vec > turned.txt
for word in king queen man woman; do printf '%s\tx%s\n' $word $word; done > dictionary
printf 'apple xapple\n' > held_out
succeeds 'vectors align' "$GRADUS" vectors align words.vec turned.txt --dictionary dictionary --test held_out -o aligned.vec --json
equal 'vectors align' 1.0 "$(json out p_at_1)"
printf 'nobody nowhere\n' > held_out
succeeds 'vectors align, nothing covered' "$GRADUS" vectors align words.vec turned.txt --dictionary dictionary --test held_out -o aligned.vec --json
equal 'vectors align, nothing covered' null "$(json out p_at_1)"
printf 'king\tA\nqueen\tA\napple\tB\nman\tC\nwoman\tC\n' > kinds
succeeds 'eval --cluster' "$GRADUS" eval words.vec --cluster kinds --json
equal 'eval --cluster' 1.0 "$(json out purity)"
tr a-z A-Z < kinds > loud
succeeds 'eval --cluster, in capitals' "$GRADUS" eval words.vec --cluster loud --json
equal 'eval --cluster, in capitals' 1.0 "$(json out purity)"
succeeds 'eval --dictionary' "$GRADUS" eval aligned.vec turned.txt --dictionary dictionary --json
equal 'eval --dictionary' 1.0 "$(json out p_at_1)"
refuses 2 'is of two SOURCEs' "$GRADUS" eval words.vec --dictionary dictionary
printf 'a b\n' > strange
refuses 1 'strange: must hold a pair of words that both sources have' "$GRADUS" vectors align words.vec turned.txt --dictionary strange -o aligned.vec
refuses 2 '--dictionary FILE must be given' "$GRADUS" vectors align words.vec turned.txt -o aligned.vec
for action in 'trim words.vec --top 1' 'merge words.vec more.txt' 'reduce words.vec --to 1' 'align words.vec turned.txt --dictionary dictionary'; do
  # shellcheck disable=SC2086
  {
    refuses 2 '-o FILE must be given' "$GRADUS" vectors $action
    refuses 2 'must not name a file that is read' "$GRADUS" vectors $action -o words.vec
    refuses 2 'must end in .vec, .txt, .bin, .npy or .safetensors' "$GRADUS" vectors $action -o out.csv
  }
done
# A minute of work, so that the signal comes while it is at it.
awk 'BEGIN { s = 1; print 100000, 8; for (i = 0; i < 100000; i++) { printf "w%d", i; for (j = 0; j < 8; j++) { s = s * 16807 % 2147483647; printf " %.3f", s / 2147483647 - 0.5 } print "" } }' > many.vec
awk 'BEGIN { for (i = 0; i < 5000; i++) print "w" i "\tw" i }' > many.pairs
for command in 'vectors align many.vec many.vec --dictionary many.pairs -o many.bin' 'eval many.vec many.vec --dictionary many.pairs'; do
  # shellcheck disable=SC2086
  attended "$GRADUS" $command > out 2> err &
  pid=$!
  sleep 0.5
  kill -INT $pid
  kill -INT $pid # as timeout sends it, to the process and to its group
  wait $pid
  equal "Ctrl-C in $command" '130 gradus: interrupted' "$? $(tail -n 1 err)"
  equal "Ctrl-C in $command: what is left" '' "$(ls | grep -E '^many.bin|partial')"
done
ok 'vectors trim, merge, reduce, align'
# Two groups that point apart, and what people call them.
printf 'a1 1 0 0\na2 2 0.1 0\na3 3 0 0.2\nb1 0 1 0\nb2 0.1 4 0\nb3 0 1 0.1\n' > groups.txt
printf 'a1\tA\na2\tA\na3\tA\nb1\tB\nb2\tB\nzzz\tB\n' > labels
succeeds cluster "$GRADUS" cluster groups.txt -k 2 --json
equal 'cluster' '{"k":2,"rows":6,' "$(cut -c -16 out)"
succeeds 'cluster --labels' "$GRADUS" cluster groups.txt --labels labels --json
equal 'cluster --labels: purity' 1.0 "$(json out purity)"
equal 'cluster --labels: rows' 5 "$(json out rows)"
grep -q '1 names of labels have no row' err || fail 'cluster --labels' 'a count' "$(cat err)"
refuses 2 '1 to 6 clusters, as many as rows at most; 7 are asked for' "$GRADUS" cluster groups.txt -k 7
refuses 2 "-k must be a number or auto; it is 'x'" "$GRADUS" cluster groups.txt -k x
refuses 1 'labels.bad:1: a line must hold a name and a label' sh -c 'echo a1 > labels.bad; exec "$0" cluster groups.txt --labels labels.bad' "$GRADUS"
ok cluster

printf 'a1\tA\nb1\tB\na1\tB\n' > labels.twice
refuses 1 'labels.twice:3: a name can have one label; "a1" has one' "$GRADUS" cluster groups.txt --labels labels.twice
succeeds 'one group' "$GRADUS" cluster groups.txt -k 1 --json
grep -q '"silhouette":null' out || fail 'one group' 'no silhouette' "$(cat out)"
# No input is replaced, and nothing is written that could not be read.
cp words.npy.names names && cp names other.npy.names
for action in 'convert words.npy --names names.vec -o names.vec' 'vectors trim words.npy --names names.vec --top 2 -o names.vec' \
  'vectors trim words.npy --names other.npy.names --top 2 -o other.npy'; do
  cp names names.vec
  # shellcheck disable=SC2086
  refuses 2 'must not name a file that is read' "$GRADUS" $action
  same_file "$action" names names.vec
  same_file "$action" names other.npy.names
done
echo precious > kept.txt
refuses 2 'write .vec' "$GRADUS" vectors reduce words.vec --to 1 -o kept.txt
equal 'a refused output' precious "$(cat kept.txt)"
: > none.vec
refuses 1 'none.vec: a file of vectors must have rows; it is empty' "$GRADUS" convert none.vec -o new.bin
refuses 1 'nowhere: ' "$GRADUS" convert nowhere -o new.vec
printf 'king\tqueen\tnan\n' > rated.nan
refuses 1 'rated.nan' "$GRADUS" eval words.vec --similarity rated.nan
printf 'zz\tyy\t1\n' > rated.none
succeeds 'eval of nothing' "$GRADUS" eval words.vec --similarity rated.none --json
grep -q '"spearman":null' out || fail 'eval of nothing' 'null' "$(cat out)"

succeeds 'corpus microworld' "$GRADUS" corpus microworld --size 20kB --seed 3 -o world
equal 'corpus microworld' 'README.md analogies.txt baskets.test.txt baskets.train.txt dictionary.tsv families.tsv similarity.tsv text.txt text2.txt tokens.tsv' \
  "$(ls world | xargs)"
refuses 2 'world must be new or empty' "$GRADUS" corpus microworld --size 20kB -o world
refuses 2 'a size such as 512MB or 2GB must be given' "$GRADUS" corpus microworld --size much -o other
refuses 2 '-o DIR must be given' "$GRADUS" corpus microworld
[ ! -e other ] || fail 'a refused corpus' 'no folder' "$(ls other)"
ok 'corpus microworld'

for query in 'king - man + woman' 'king man woman'; do
  # shellcheck disable=SC2086
  succeeds "analogy $query" "$GRADUS" analogy words.vec $query -k 1
  equal "analogy $query" "$(printf 'king - man + woman\n  0.8790  queen')" "$(cat out)"
done
succeeds 'analogy in one argument' "$GRADUS" analogy words.vec 'king - man + woman' -k 1 --json
equal 'analogy in one argument' 'king - man + woman' "$(json out query)"
succeeds 'analogy --include-inputs' "$GRADUS" analogy words.vec king - man + woman -k 5 --include-inputs
grep -q '  king$' out || fail 'analogy --include-inputs' king "$(cat out)"
refuses 2 'there are 2 words and no sign' "$GRADUS" analogy words.vec king man
refuses 2 'none behind the last' "$GRADUS" analogy words.vec king +
refuses 2 "none before 'woman'" "$GRADUS" analogy words.vec king - man woman
refuses 2 'at least one word must be added' "$GRADUS" analogy words.vec - king
succeeds odd "$GRADUS" odd words.vec king queen apple man woman
equal odd apple "$(head -n 1 out)"
refuses 2 'three words must be given or more; there are 2' "$GRADUS" odd words.vec king queen
succeeds similarity "$GRADUS" similarity words.vec king king --json
equal 'similarity with itself' 1.0 "$(json out cosine)"
printf 'king\tqueen\tmore\nman woman\n' > pairs
succeeds 'similarity --pairs' "$GRADUS" similarity words.vec --pairs pairs
equal 'similarity --pairs: a line each' 2 "$(wc -l < out)"
printf 'king\tzebra\n' > pairs
refuses 1 "pairs:1: |'zebra' is not" "$GRADUS" similarity words.vec --pairs pairs
refuses 2 'give two names or --pairs' "$GRADUS" similarity words.vec
refuses 2 'two names must be given; there are 3' "$GRADUS" similarity words.vec a b c
printf 'king queen 9\nking apple 1\nman woman 8\nman zebra 5\n' > rated
printf ': family\nman king woman queen\nMan King Woman Queen\n: gram1\nking queen man zebra\n' > questions
succeeds eval "$GRADUS" eval words.vec words.bin --similarity rated --analogy questions --json
has_keys eval out results compared spearman low high covered accuracy accuracy_all sections
succeeds 'eval of one source' "$GRADUS" eval words.vec --analogy questions --json
equal 'eval: small letters are tried' 2 "$(sed 's/.*"total":{"accuracy":1.0,"accuracy_all":0.66*7*,"right":\([0-9]*\),.*/\1/' out)"
refuses 2 '--input FILE must be given, or --similarity, --analogy, --cluster, --dictionary or --baskets' "$GRADUS" eval words.vec
refuses 2 'leave it out' "$GRADUS" eval words.vec --input rated --similarity rated
refuses 2 'has no pieces of words' "$GRADUS" eval words.vec --similarity rated --oov subword
refuses 1 'words.vec:1: a line must hold two words and a rating' "$GRADUS" eval words.vec --similarity words.vec
refuses 2 "at most the vectors' 3 numbers; one is 4" "$GRADUS" eval words.vec --similarity rated --dims 4
ok 'get, analogy, odd, similarity, eval: results, and what is refused'

head -c 40 words.vec > cut.vec
refuses 1 'cut.vec' "$GRADUS" neighbors cut.vec king
head -c 40 words.bin > cut.bin
refuses 1 'it is cut off' "$GRADUS" neighbors cut.bin king
: > empty
refuses 1 'empty: a file of vectors must have rows; it is empty' "$GRADUS" neighbors empty king
refuses 1 'none: must be a file or folder with vectors, or a model; there is nothing' "$GRADUS" neighbors none king
mkdir nothing
refuses 1 'nothing: must be a folder of a model' "$GRADUS" neighbors nothing king
printf '0 3\n' > zero.vec
refuses 2 "a name must be one of the 0 there are; 'king' is not" "$GRADUS" neighbors zero.vec king
refuses 2 'there must be four rows or more; there are 0' "$GRADUS" cluster zero.vec
printf 'a nan 1\nb 1 1\nc 1 0.5\n' > nan.txt
succeeds 'a row with a NaN' "$GRADUS" neighbors nan.txt b
grep -q '1 row holds a NaN' err || fail 'a row with a NaN' 'a note' "$(cat err)"
refuses 2 "that of 'a' holds a NaN" "$GRADUS" neighbors nan.txt a
refuses 2 'must end in .vec, .txt, .bin, .npy or .safetensors' "$GRADUS" convert words.vec -o words.csv
refuses 2 'must not name a file that is read' "$GRADUS" convert words.vec -o words.vec
refuses 2 'no effect with a file of vectors' "$GRADUS" neighbors words.vec king --text rated
ok 'damaged, empty and missing sources are refused by name; rows that are no numbers are told'

# Models: a run with its own text and with another; a folder, a GGUF file; what embed wrote of it.
make_text 200 > text
make_text 200 7 > other
# shellcheck disable=SC2086
succeeds train "$GRADUS" train text -o run --n-layer 2 --n-head 2 --n-embd 16 --block-size 32 --batch-size 4 --tokenizer bpe:300 --max-iters 10 --warmup 2 -q
succeeds 'convert the model' "$GRADUS" convert run -o model.gguf --to gguf -q
succeeds 'neighbors of a run' "$GRADUS" neighbors run king -k 3 -q
succeeds 'neighbors of a text' "$GRADUS" neighbors run king -k 3 --text other -q
cp out of_run
succeeds 'neighbors of a GGUF file' "$GRADUS" neighbors model.gguf king -k 3 --text other
same_file 'neighbors of a GGUF file' of_run out
grep -q 'the vectors are kept in' err || fail 'neighbors of a GGUF file' 'a note of the cache' "$(cat err)"
succeeds 'the same from the cache' "$GRADUS" neighbors model.gguf king -k 3 --text other
same_file 'the same from the cache' of_run out
grep -q 'were made before' err || fail 'the same from the cache' 'a note of the cache' "$(cat err)"
echo 'more of it' >> other
succeeds 'another text' "$GRADUS" neighbors model.gguf king -k 3 --text other
grep -q 'the vectors are kept in' err || fail 'another text' 'vectors made anew' "$(cat err)"
succeeds 'a text from standard input' sh -c '"$0" neighbors run king -k 3 --text - -q < other' "$GRADUS"
cp out piped
succeeds 'the same from its file' "$GRADUS" neighbors run king -k 3 --text other -q
same_file 'a text from standard input' piped out
printf 'the king went\nthe sea is great\nthe king said\n' > lines
succeeds 'sentences' "$GRADUS" neighbors run 'the king went' -k 1 --text lines --level sentence -q
grep -q '^the king went   the king said' out || fail 'sentences' 'the other king' "$(cat out)"
for out in e.npz e.safetensors e/; do
  succeeds "embed -o $out" "$GRADUS" embed run --input lines -o "$out" -q
  succeeds "neighbors of $out" "$GRADUS" neighbors "$out" 'the king went' -k 1 -q
  grep -q '^the king went   the king said' out || fail "neighbors of $out" 'the other king' "$(cat out)"
done
printf '1\t1\tthe king went\n1\t1\ta king said\n2\t2\tthe great king\n2\t0\tking of the sea\n' > senses
for model in run model.gguf; do
  succeeds "polysemy $model" "$GRADUS" polysemy $model king --input senses --json
  has_keys "polysemy $model" out layers within between self_similarity anisotropy silhouette nearest_accuracy
  equal "polysemy $model: what it sees" false "$(json out sees_right_context)"
  cp out "polysemy.$model"
done
same_file 'polysemy of a GGUF file' polysemy.run polysemy.model.gguf
succeeds 'polysemy of texts' "$GRADUS" polysemy run king --input lines -k 1
grep -q '2 occurrences, 1 group, taken for a sense' out || fail 'polysemy of texts' '2 occurrences of one group' "$(cat out)"
grep -q '^layer_0 .*  -  .*  -  ' out || fail 'polysemy of texts' 'nothing between one group and no other' "$(cat out)"
refuses 1 'lines: must hold the word' "$GRADUS" polysemy run zebra --input lines
printf 'a\tb\n' > senses.bad
refuses 1 'senses.bad:1: a line must be a text, or a sense' "$GRADUS" polysemy run king --input senses.bad
printf '1\t9\tthe king\n' > senses.bad
refuses 1 'senses.bad:1: the sentence has no word number 9' "$GRADUS" polysemy run king --input senses.bad
succeeds 'embed --level word' "$GRADUS" embed run --input lines -o w.npz --level word -q
succeeds 'neighbors of words' "$GRADUS" neighbors w.npz king --layer 0 -k 2 -q
grep -q '^king   king 1.00' out || fail 'neighbors of words' 'the other one' "$(cat out)"
refuses 2 'sentences are made of a text; give --text FILE' "$GRADUS" neighbors run king --level sentence
# Where all rows are named, they are the texts.
printf 'the king went\nthe man went\n' > two
for source in run model.gguf; do
  succeeds "similarity of two texts in $source" "$GRADUS" similarity $source 'the king went' 'the man went' --level sentence -q
  cp out alone
  succeeds "the same out of a text" "$GRADUS" similarity $source 'the king went' 'the man went' --text two --level sentence -q
  same_file "texts alone and out of a file, in $source" out alone
done
printf 'the king went\tthe man went\n' | succeeds 'pairs of texts' "$GRADUS" similarity model.gguf --pairs - --level sentence -q
same_file 'pairs of texts' out alone
succeeds 'the odd text' "$GRADUS" odd run 'the king went' 'the man went' 'the king went' --level sentence -q
succeeds 'a text by itself' "$GRADUS" vectors get run 'the king went' --level sentence --json -q
grep -q '^{"the king went":\[-\?[0-9.e-]\{1,14\},' out || fail 'vectors get --json' 'numbers of an f32' "$(head -c 200 out)"
refuses 2 'the layer must be one of layer_0, layer_1, layer_2, final' "$GRADUS" neighbors run king --layer 7
refuses 2 'model.gguf is no run, which alone has a text of its own; give --text FILE' "$GRADUS" neighbors model.gguf king
refuses 2 "a name must be one of the 0 there are" "$GRADUS" neighbors run king --text lines
grep -q 'no word of the text is seen 20 times' err || fail 'a short text' 'why there is no row' "$(cat err)"
refuses 2 "--layer must name one layer; it is '0,1'" "$GRADUS" neighbors run king --text other --layer 0,1
# A folder of sentences whose model stands in a folder below; what its modules say is part of what is kept.
succeeds 'a folder of sentences' "$GRADUS" convert run -o 0_Transformer --to hf -q
mkdir -p st/1_Pooling && mv 0_Transformer st
printf '[{"idx":0,"name":"0","path":"0_Transformer","type":"sentence_transformers.models.Transformer"},{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]' > st/modules.json
printf '{"word_embedding_dimension":16,"pooling_mode_mean_tokens":true}' > st/1_Pooling/config.json
succeeds 'sentences of a folder' "$GRADUS" vectors get st 'the king went' --text lines --level sentence -q
cp out pooled.mean
printf '{"word_embedding_dimension":16,"pooling_mode_mean_tokens":false,"pooling_mode_max_tokens":true}' > st/1_Pooling/config.json
succeeds 'sentences pooled otherwise' "$GRADUS" vectors get st 'the king went' --text lines --level sentence -q
! cmp -s pooled.mean out || fail 'sentences pooled otherwise' 'other vectors' 'those that were kept'
succeeds 'embed of the same' "$GRADUS" embed st 'the king went' --layers -1 -q
equal 'embed of the same' "$(sed 's/.*\[//; s/\].*//; s/,.*//' out | awk '{ printf "%.6g", $1 }')" "$("$GRADUS" vectors get st 'the king went' --text lines --level sentence -q | awk '{ printf "%.6g", $4 }')"
refuses 2 'no effect with a model' "$GRADUS" neighbors run king --names lines
ok 'models: a run, a GGUF file, texts and lines; kept by hashes; what embed wrote'

check_lesson models/embeddings/README.md 26 's/^many lebok/few lebok/'
