# What the walks share: short names for running and comparing, the texts, and the checks of a model that was trained.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"

# What waits for a pipe for ever would else hang the walk.
gradus() { timeout 120 "$GRADUS" "$@"; }
# The row that is looked at: its name (and the family), its file, and what is true of it.
cell='' file='' properties=''
is() { case " $properties " in *" $1 "*) true ;; *) false ;; esac; }
runs() { succeeds "$cell: gradus $*" gradus "$@"; }
# gives FILE COMMAND...: what it prints goes to FILE.
gives() {
  runs "${@:2}"
  mv out "$1"
}
same() { same_file "$cell: $1" "$2" "$3"; }
holds() { equal "$cell: $1" "$2" "$3"; }
# json_lines FILE: remembers its lines; check_json, at the end of a row, reads all of them at once as JSON.
: > lines.json
json_lines() { cat "$1" >> lines.json; }
check_json() {
  { echo '['; sed '$!s/$/,/' lines.json; echo ']'; } > all.json
  is_json all.json || fail "$cell: what --json printed, and .jsonl files" 'JSON on every line' "$(cat json_error)"
  : > lines.json
}
# snapshot FOLDER: the files in it, with their contents, and where links lead.
snapshot() { (cd "$1" && find . \( -type f -exec sha256sum {} + \) -o \( -type l -printf '%p -> %l\n' \) | sort); }

tiny='--n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 --warmup 1'
six='--max-iters 6 --eval-interval 3'
# fit OUT FAMILY OPTIONS...: trains a model of this row's tokenizer on `text`, or on TEXT.
fit() {
  # shellcheck disable=SC2086
  runs train "${TEXT:-text}" -o "$1" --tokenizer "$file" --arch "$2" $tiny "${@:3}"
}
# ids_of FILE TEXT...: a line each; nothing added, nothing cut.
ids_of() {
  local from=$1
  ! is cuts || from=wordpiece.json
  gradus tokenizer encode "$from" --special off --parse-special off -q "${@:2}" | tr ' ' '\n' | grep .
}

# ---- Texts ----

make_text 120 > text
head -c $(($(wc -c < text) * 9 / 10)) text > seen
make_text 100 5 > other
mkdir books
cp other books/b
printf '{"text":"%s"}\n' "$(awk '{ printf "%s\\n", $0 }' other)" > other.jsonl
mkfifo pipe
printf 'the king, \303\251t\303\251: "\342\202\254 5"\n\n  \t two  spaces\n' > strange
for i in $(seq 24); do printf 'the king \351t\351 \377\376 %d\n' "$i"; done > latin
printf 'the king' > short
printf 'a' > byte
printf ' ' > space
: > empty

learn() { succeeds "tokenizer train $*" gradus tokenizer train text "$@" -q; }
turn() { succeeds "convert $*" gradus convert "$1" -o "$2" -q; }

# ---- The checks of a model ----

check_train() {
  # shellcheck disable=SC2086
  fit run "$1" $six --sample-every 2
  if grep -q 'no samples are shown' err; then fail "$cell: samples" 'samples' "$(cat err)"; fi
  holds 'samples' 3 "$(grep -ac '^sample ' err)"
  holds 'steps in the metrics' 6 "$(lines run/metrics.jsonl)"
  json_lines run/metrics.jsonl
  # shellcheck disable=SC2086
  fit again "$1" $six --sample-every 0 --threads 1 -q
  same 'one thread, no samples' run/model.safetensors again/model.safetensors
  rm -r again
  gives info info run --json
  json_lines info
  # shellcheck disable=SC2086
  fit dry "$1" $six --dry-run --json
  [ ! -e dry ] || fail "$cell: --dry-run" 'nothing written' "$(ls dry)"
  holds 'parameters of the plan' "$(json info parameters)" "$(json out parameters)"
}

# Killed at a step that is far from the end, and resumed: the bytes of a run that was not.
check_resume() {
  local pid long='--max-iters 150 --sample-every 0 --eval-interval 0 -q'
  # shellcheck disable=SC2086
  fit whole "$1" $long
  # shellcheck disable=SC2086
  "$GRADUS" train text -o cut --tokenizer "$file" --arch "$1" $tiny $long --checkpoint-every 4 2> cut.err &
  pid=$!
  while kill -0 $pid 2> kill_error && [ "$(lines cut/metrics.jsonl)" -lt 9 ]; do :; done
  kill -KILL $pid 2> kill_error
  wait $pid 2> wait_error
  holds 'killed before its end' 137 $?
  runs resume cut -q
  same 'killed and resumed' whole/model.safetensors cut/model.safetensors
  holds 'steps in the metrics' 150 "$(lines cut/metrics.jsonl)"
  rm -r whole cut
}

check_eval() {
  local first
  ids_of "$file" --input text > ids
  # Where the first token ends: nothing before it is dropped here.
  first=$(gradus tokenizer show "$file" --input text --special off --parse-special off -q | awk 'NR == 1 { split($2, at, "-"); print at[2] }')
  gives evaluated eval run --input text --json -q
  json_lines evaluated
  holds 'eval: tokens' $(($(lines ids) - 1)) "$(json evaluated tokens)"
  holds 'eval: bytes' $(($(wc -c < text) - first)) "$(json evaluated bytes)"
  holds 'eval: unknown tokens' 0.0 "$(json evaluated unknown_rate)"
  gives evaluated eval run --input short --json -q
  holds 'eval of less than a block: bits' 1 "$(awk -v bits="$(json evaluated bits_per_byte)" 'BEGIN { print (bits > 0 && bits < 20) }')"
}

# The text goes on where the prompt ends: it is decode(prompt + ids) without decode(prompt). `before` holds the tokens that
# are added before a prompt.
check_generate() {
  local prompt seed
  for prompt in 'the king' 'the king ' 'of the'; do
    { [ -z "${before:-}" ] || echo "$before"; ids_of "$file" -- "$prompt"; } > prompt.ids
    gives decoded tokenizer decode run --input prompt.ids
    for seed in 1 2; do
      gives made generate run -p "$prompt" -n 7 --seed $seed --json -q
      json_lines made
      holds 'generate: tokens of the prompt' "$(lines prompt.ids)" "$(json made prompt_tokens)"
      sed 's/.*"ids":\[\([^]]*\).*/\1/' made | tr ',' '\n' > made.ids
      # A token that ends texts is none of the text.
      if [ "$(json made stop_reason)" = end_of_text ]; then
        sed -i '$d' made.ids
      else
        holds 'generate: ids' 7 "$(lines made.ids)"
      fi
      cat prompt.ids made.ids > all.ids
      gives all tokenizer decode run --input all.ids
      { printf %s "$prompt"; tail -c +$(($(wc -c < decoded) + 1)) all; echo; } > expected
      gives printed generate run -p "$prompt" -n 7 --seed $seed -q
      same "generate -p '$prompt' --seed $seed" expected printed
    done
  done
  gives one generate run -p 'the king' -n 7 --threads 1 -q
  gives two generate run -p 'the king' -n 7 --threads 3 -q
  same 'generate: threads' one two
  runs generate run -p 'the king' -n 40 -q
  gives made generate run -p 'the king' -n 5 --show-probs 3 --json -q
  json_lines made
  gives probable generate run -p 'the king' -n 5 --show-probs 3 -q
  holds '--show-probs: a line a token, of three candidates' "$(grep -o '"top":' made | wc -l)" \
    "$(grep -aEc '^[01]\.[0-9]{3}  .*\|(  .* [01]\.[0-9]{3}){3}$' probable)"
  holds '--show-probs: lines' "$(lines probable)" "$(grep -o '"top":' made | wc -l)"
  if is begins || [ -n "${before:-}" ]; then
    runs generate run -p '' -n 3 -q
  else
    refuses 2 'the prompt must have at least one token' gradus generate run -p '' -n 3 -q
  fi
}
