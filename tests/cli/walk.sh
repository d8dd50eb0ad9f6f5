#!/usr/bin/env bash
# The walk: every verb with every kind of tokenizer, both families, from every place that a text can come from. A table of
# kinds, each put through the same checks. WALK='bpe words' walks these rows alone.
. "$(dirname "${BASH_SOURCE[0]}")/walk.bash"

# ---- The table: a kind, its file, the formats that can hold it, and what is true of it ----
#   any     takes any bytes           text      gives any text back; spaced: any without U+2581
#   adds    special tokens to a text  alphabet  takes its own characters alone
#   begins  where a prompt is empty   words     keeps nothing of spaces
#   cuts    and pads texts, as wordpiece.json does not, which is otherwise the same
table='
bpe             bpe.json             json,vocab.json  any text begins
spm-bpe-exact   spm-bpe.exact.json   json             text begins adds
spm-bpe-spaced  spm-bpe.spaced.json  json,model       spaced begins adds
spm-bpe-model   spm-bpe.model        json,model       spaced begins
unigram-exact   unigram.exact.json   json             text begins adds
unigram-spaced  unigram.spaced.json  json,model       spaced begins adds
unigram-model   unigram.model        json,model       spaced begins
wordpiece       wordpiece.json       json,txt         begins adds words
vocab-txt       bert/vocab.txt       json,txt         begins adds words
gpt2-files      gpt2/vocab.json      json,vocab.json  any text begins
words           words.json           json             words
char            char.json            json             text alphabet
byte            byte.json            json,vocab.json  any text
cutting         cutting.json         json,txt         begins adds words cuts
adding          adding.json          json             words adds
'
learn --kind bpe --vocab-size 320 -o bpe.json
mkdir bert gpt2
turn bpe.json gpt2/vocab.json
for trained in spm-bpe unigram; do
  learn --kind $trained --vocab-size 300 --spaces exact -o $trained.exact.json
  learn --kind $trained --vocab-size 300 --spaces sentencepiece -o $trained.spaced.json
  turn $trained.spaced.json $trained.model
done
learn --kind wordpiece --vocab-size 80 -o wordpiece.json
turn wordpiece.json bert/vocab.txt
learn --kind words --vocab-size 80 -o words.json
learn --kind char -o char.json
learn --kind byte -o byte.json
cut='{"direction":"Right","max_length":4,"strategy":"LongestFirst","stride":0}'
pad='{"strategy":{"Fixed":8},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"}'
sed "s/\"truncation\": null/\"truncation\": $cut/; s/\"padding\": null/\"padding\": $pad/" wordpiece.json > cutting.json
learn --kind words --special '<unk>,<s>' --vocab-size 80 -o begun.json
around='{"type":"TemplateProcessing","special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]}},
  "single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
  "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}]}'
sed "s/\"post_processor\": null/\"post_processor\": $(echo $around)/" begun.json > adding.json
for changed in cutting:wordpiece adding:begun; do
  ! cmp -s ${changed%:*}.json ${changed#*:}.json || fail "$changed" 'another tokenizer' 'the same'
done

# ---- The checks of a tokenizer ----

# from_everywhere COMMAND...: with `other` for TEXT, from every place, it prints the same, or writes the same to new.json.
from_everywhere() {
  local place command
  for place in other books other.jsonl - pipe; do
    command=("${@//TEXT/$place}")
    rm -f new.json
    [ $place != pipe ] || { cat other > pipe & }
    succeeds "$cell: gradus ${command[*]}" gradus "${command[@]}" < other
    [ ! -e new.json ] || mv new.json out
    [ $place != other ] || cp out expected
    same "gradus ${command[*]}" expected out
  done
  wait
}

check_tokenizer_train() {
  [ "${file%.json}" != "$file" ] && ! is cuts || return 0
  local spaces='' size='--vocab-size 300'
  case $file in
    *.spaced.json) spaces='--spaces sentencepiece' ;;
    char.json | byte.json) size='' ;;
    gpt2/* | adding.json) return 0 ;;
  esac
  # shellcheck disable=SC2086
  from_everywhere tokenizer train TEXT --kind "${file%%.*}" $size $spaces -o new.json -q
}

check_round_trip() {
  local texts='other strange short space' text out
  ! is alphabet || texts=other
  ! is any || texts="$texts latin"
  is text || is spaced || texts=''
  for text in $texts; do
    for out in ids.npy ids.bin; do
      runs tokenizer encode "$file" --input "$text" --special off --parse-special off -o $out -q
      gives back tokenizer decode "$file" --input $out
      same "$text, to $out and back" "$text" back
    done
  done
  # What does not come back as it was comes back as the words that it is.
  ids_of "$file" --input other > ids
  gives back tokenizer decode "$file" --input ids
  holds 'the words of a text, and back' "$(xargs < other)" "$(sed 's/\([a-z]\)\./\1 ./g' back | xargs)"
}

check_show() {
  local special
  for special in on off; do
    gives ids tokenizer encode "$file" 'the king went' --special $special -q
    gives shown tokenizer show "$file" 'the king went' --special $special -q
    holds "show --special $special has the ids of encode" "$(cat ids)" "$(awk '{ print $1 }' shown | xargs)"
    gives shown tokenizer show "$file" 'the king went' --special $special --json
    json_lines shown
    holds "show --json --special $special" "$(cat ids)" "$(sed 's/.*"ids":\[\([^]]*\).*/\1/; s/,/ /g' shown)"
    gives encoded tokenizer encode "$file" 'the king went' --special $special --json
    same "encode --json --special $special" shown encoded
    ! is cuts || holds "encode --special $special pads" 8 "$(wc -w < ids)"
  done
  # A line a token, whatever the token is.
  is cuts || holds 'show: lines' "$(ids_of "$file" --input other | wc -l)" \
    "$(gradus tokenizer show "$file" --input other --special off -q | wc -l)"
}

check_sources_of_tokenizer() {
  local count
  from_everywhere tokenizer encode "$file" --input TEXT -q
  from_everywhere tokenizer show "$file" --input TEXT -q
  count=$(ids_of "$file" --input other | wc -l)
  for place in other books other.jsonl -; do
    gives compared tokenizer compare "$file" bpe.json --input $place --json < other
    holds "compare --input $place counts the tokens" "$count" "$(grep -o '"tokens":[0-9]*' compared | head -n 1 | cut -d: -f2)"
  done
  json_lines compared
  gives timed bench tokenizer "$file" --input other.jsonl --json -q
  json_lines timed
  holds 'bench tokenizer counts the tokens' "$count" "$(json timed tokens)"
}

# Formats that can hold a kind give its ids; what they do not say is told. The others are refused, and nothing is written.
check_convert() {
  local target note
  mkdir -p target
  ids_of "$file" --input other > expected
  for target in a.json a.model a.txt a.tiktoken vocab.json; do
    rm -f target/*
    case ",$1," in
      *,"$target",* | *,"${target#a.}",*)
        runs convert "$file" -o target/$target
        note=$(grep -c '^note .*does not say' err)
        ids_of target/$target --input other > ids
        same "the ids of $target" expected ids
        gives one tokenizer encode "$file" 'the king' -q
        gives two tokenizer encode target/$target 'the king' -q
        holds "convert to $target tells what is left out" "$(cmp -s one two && echo 0 || echo 1)" "$note"
        ;;
      *)
        refuses 2 convert gradus convert "$file" -o target/$target
        holds "convert to $target is refused" '' "$(ls target)"
        ;;
    esac
  done
}

# ---- The checks of a model ----

check_sources_of_model() {
  local place
  for place in other books other.jsonl - pipe; do
    rm -rf new
    [ $place != pipe ] || { cat other > pipe & }
    # shellcheck disable=SC2086
    TEXT=$place fit new "$1" $six -q < other
    wait
    # What cannot be read again is not waited for.
    runs resume new --max-iters 8 -q
    [ $place != other ] || cp new/model.safetensors expected.model
    same "train on $place, and resume" expected.model new/model.safetensors
  done
  rm -r new
  from_everywhere eval run --input TEXT --json -q
  from_everywhere neighbors run the king --text TEXT -q
  from_everywhere vectors get run the king --text TEXT -q
  from_everywhere tokenizer encode run --input TEXT -q
  # Of these a line is a text, so that the .jsonl is another.
  awk '{ print "\"" $0 "\"" }' other > texts.jsonl
  for place in other books texts.jsonl - pipe; do
    [ $place != pipe ] || { cat other > pipe & }
    runs embed run --input $place --truncate -o new.npz -q < other
    [ $place != other ] || mv new.npz expected
    [ $place = other ] || same "embed --input $place" expected new.npz
  done
  wait
  rm -f new.*
}

# A stop text ends the text before its first place, wherever tokens begin and end.
check_stop() {
  local all stop
  gives all generate run -p 'the king' -n 15 --seed 4 -q
  all=$(tail -c +9 all | tr -d '\0'; echo .)
  stop=$(printf %s "$all" | tr -c 'a-z ' '\n' | grep -ao '[a-z][a-z ][a-z]' | tail -n 1)
  [ -n "$stop" ] || return 0
  gives stopped generate run -p 'the king' -n 15 --seed 4 --stop "$stop" -q
  holds "--stop '$stop'" "the king${all%%"$stop"*}" "$(tr -d '\0' < stopped)"
  stops=$((stops + 1))
}
stops=0

# `added` holds how many tokens stand around a text.
check_embed() {
  local level rows to
  while read -r level rows; do
    for to in npz safetensors; do
      runs embed run 'the left hand' --level "$level" -o vectors.$to -q
      holds "embed --level $level: rows" "$rows" "$(lines vectors.$to.tokens.jsonl)"
      runs info vectors.$to
      grep -q "layer_1 .*($rows, 16)" out || fail "$cell: info of the vectors" "$rows rows" "$(cat out)"
    done
    json_lines vectors.npz.tokens.jsonl
    same 'rows in both formats' vectors.npz.tokens.jsonl vectors.safetensors.tokens.jsonl
  done << END
sentence 1
word 3
token $(($(ids_of "$file" 'the left hand' | wc -l) + ${added:-0}))
END
  gives compared embed run 'the left hand' 'the left hand' --compare left -q
  holds 'embed --compare of the same text' '3 1.000' "$(lines compared) $(awk '{ print $3 }' compared | sort -u)"
  gives compared embed run 'the left hand' 'he left the king' --compare left --json
  json_lines compared
}

check_neighbors() {
  gives first neighbors run king sea -k 4 -q
  holds 'neighbors: words, with four each' 'king 9 sea 9' "$(awk '{ print $1, NF }' first | xargs)"
  gives second neighbors run king sea -k 4 -q
  same 'neighbors, from the kept table' first second
  gives second neighbors run king sea -k 4 --text seen -q
  same 'neighbors in the training part' first second
  gives near neighbors run king --json
  json_lines near
}

# The verbs that look at vectors, with those of the run and with a file of them.
check_vectors() {
  local to verb
  gives numbers vectors get run king sea -q
  holds 'vectors get: a name and 16 numbers' 'king 17 sea 17' "$(awk '{ print $1, NF }' numbers | xargs)"
  for to in txt vec bin npy safetensors; do
    runs vectors trim run --top 9 -o nine.$to -q
    # The file has the same rows; those of the run that are not among the nine are not asked for.
    gives first vectors get nine.$to "$(head -n 1 nine.txt | cut -d ' ' -f 1)" -q
    same "a row of nine.$to" <(head -n 1 nine.txt) first
  done
  while read -r verb; do
    # shellcheck disable=SC2086
    gives first ${verb/SOURCE/run}
    [ -s first ] || fail "$cell: $verb" 'something printed' 'nothing'
  done << END
similarity SOURCE king sea -q
odd SOURCE king sea the -q
analogy SOURCE king - sea + the -k 2 -q
cluster SOURCE -k 2 -q
similarity SOURCE king sea --json
similarity SOURCE king sea --level sentence -q
polysemy SOURCE king --input other -k 2 --truncate -q
END
  printf 'king sea\n' > pairs
  gives first similarity run king sea -q
  gives second similarity run --pairs pairs -q
  same 'similarity --pairs' first second
  rm nine.*
}

# What is written for other programs is the same model to every verb, in one file or in a folder, and goes on from there.
check_written() {
  local written verb
  for written in model.gguf folder sentences again.gguf; do
    case $written in
      again.gguf) runs convert folder -o again.gguf --to gguf -q ;;
      *.gguf) runs convert run -o model.gguf --to gguf -q ;;
      folder) runs convert model.gguf -o folder --to hf -q ;;
      sentences) runs convert run -o sentences --to sentence-transformers -q ;;
    esac
    while read -r verb; do
      # A GGUF file does not say that texts are cut and padded.
      if is cuts && [ "${verb#tokenizer}" != "$verb" ]; then continue; fi
      # shellcheck disable=SC2086
      gives one ${verb/MODEL/run}
      # shellcheck disable=SC2086
      gives two ${verb/MODEL/$written}
      same "${verb/MODEL/$written}" one two
    done << END
generate MODEL -p the -n 9 --json -q
eval MODEL --input other --json -q
embed MODEL --input other --truncate --layers all -q
embed MODEL --input other --truncate --level word -q
tokenizer encode MODEL --input other --special off -q
tokenizer show MODEL the --special off
tokenizer decode MODEL 5 9 7
similarity MODEL king sea --text other -q
vectors get MODEL king --text other -q
cluster MODEL --level sentence --text other --truncate -k 2 -q
odd MODEL king sea the --level sentence -q
polysemy MODEL king --input other -k 2 --truncate -q
END
    runs info $written
  done
  gives one neighbors run king sea --text other -q
  gives two neighbors model.gguf king sea --text other -q
  same 'neighbors of a GGUF file' one two
  TEXT=other file=model.gguf fit new llama --max-iters 2 -q
  TEXT=other fit newer llama --max-iters 2 -q
  is adds || same 'train with the tokenizer of a GGUF file' new/model.safetensors newer/model.safetensors
  rm -r model.gguf folder sentences again.gguf new newer
}

# A model from elsewhere, whose config.json says nothing of how it was trained, gets what its tokenizer adds.
check_elsewhere() {
  local before added
  is adds || return 0
  mv run kept
  mkdir run
  cp kept/model.safetensors kept/tokenizer.json run
  tr -d '\n' < kept/config.json | sed 's/,  *"gradus": {[^}]*}//' > run/config.json
  gives shown tokenizer show kept king -q
  # Those behind a text would end it, so that a prompt has only those before it.
  before=$(awk '$2 != "added" { exit } { print $1 }' shown)
  added=$(awk '$2 == "added" && $3 != "[PAD]"' shown | wc -l)
  [ "$added" -gt 0 ] || fail "$cell" 'tokens that are added' "$(cat shown)"
  check_generate
  check_embed
  gives evaluated eval run --input text --json -q
  [ -z "$before" ] || holds 'eval: all bytes' "$(wc -c < text)" "$(json evaluated bytes)"
  rm -r run
  mv kept run
}

# ---- Texts that are hardly any, and what is no UTF-8 ----

# The exit code of each verb. Where it is 1, the error names the text; where it is not 0, nothing is written.
hard_texts='
#      train eval embed neighbors encode show compare bench
empty  1     1    2     1         0      0    1       1
byte   2     1    0     2         0      0    0       0
space  2     1    0     2         0      0    1       0
short  2     0    0     2         0      0    0       0
latin  0     0    0     0         0      0    0       0
'
check_hard_texts() {
  local text codes code found command
  while read -r text codes; do
    case $text in
      '' | '#') continue ;;
      byte) ! is spaced || codes='2 0 0 2 0 0 0 0' ;; # the space before it is a token of its own
      space) ! is spaced || codes='2 0 0 2 0 0 1 0'; ! is words || codes='2 1 2 2 0 0 1 0' ;; # no token is left of it
      latin) is any || codes='1 1 1 1 1 1 1 1' ;;     # only UTF-8 is taken
    esac
    while read -r command; do
      code=${codes%% *}
      # shellcheck disable=SC2086
      codes=$(echo ${codes#"$code"})
      command=${command//TEXT/$text}
      # shellcheck disable=SC2086
      gradus $command > hard.out 2> hard.err
      found=$?
      [ $found -eq "$code" ] || fail "$cell: gradus $command" "exit $code" "exit $found: $(tail -c 400 hard.err)"
      [ $code -eq 0 ] || [ -z "$(ls -d new* 2> ls_error)" ] || fail "$cell: $command" 'nothing written' "$(ls -d new*)"
      [ $code -ne 1 ] || grep -q "^gradus: .*$text" hard.err || fail "$cell: gradus $command" "$text named" "$(cat hard.err)"
      rm -rf new*
    done << END
train TEXT -o new --tokenizer $file $tiny --max-iters 2 -q
eval run --input TEXT -q
embed run --input TEXT --truncate -o new.npz -q
neighbors run the --text TEXT -q
tokenizer encode $file --input TEXT -q
tokenizer show $file --input TEXT -q
tokenizer compare $file --input TEXT
bench tokenizer $file --input TEXT -q
END
  done <<< "$hard_texts"
}

# ---- The walk ----

while read -r name file formats properties; do
  [ -n "$name" ] || continue
  case " ${WALK:-$name} " in *" $name "*) ;; *) continue ;; esac
  cell=$name
  check_tokenizer_train
  check_round_trip
  check_show
  check_sources_of_tokenizer
  check_convert "$formats"
  for family in gpt llama; do
    cell="$name, $family"
    rm -rf run
    check_train $family
    check_resume $family
    snapshot run > run.before
    check_eval
    check_generate
    check_stop
    check_embed
    snapshot run > run.after
    same 'the run that was looked at' run.before run.after
    check_neighbors
    check_vectors
    check_written
    check_elsewhere
  done
  check_sources_of_model llama
  check_hard_texts
  check_json
  ok "$name: every verb, both families, from everywhere"
done <<< "$table"
[ -n "${WALK:-}" ] || [ $stops -ge 20 ] || fail '--stop' 'texts that were stopped' "$stops of 30"
