# What the tests of the program share. They run with GRADUS, the program, and need nothing but it and a POSIX userland.
set -u
export LC_ALL=C
GRADUS=${GRADUS:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/build/gradus}
[ -x "$GRADUS" ] || { echo "GRADUS must be the program; '$GRADUS' is not" >&2; exit 1; }
work=$(mktemp -d)
cleanups=()
clean_up() {
  local command
  for command in ${cleanups[@]+"${cleanups[@]}"}; do eval "$command"; done
  rm -rf "$work"
}
trap clean_up EXIT
cd "$work" || exit 1
export XDG_CACHE_HOME=$work/cache

ok() { echo "ok: $*"; }
# fail WHAT EXPECTED FOUND
fail() {
  printf 'FAILED: %s\n  expected: %s\n  found:    %s\n' "$1" "$2" "$3"
  exit 1
}
equal() { [ "$2" = "$3" ] || fail "$1" "$2" "$3"; }
same_file() { cmp -s "$2" "$3" || fail "$1" "the bytes of $2" "$(cmp "$2" "$3" 2>&1)"; }
# succeeds WHAT COMMAND...: its output goes to out and err.
succeeds() {
  local what=$1
  shift
  "$@" > out 2> err
  local code=$?
  [ $code -eq 0 ] || fail "$what" "exit 0 of: $*" "exit $code, $(tail -c 600 err)"
}
# refuses CODE TEXT COMMAND...: exits with CODE and says TEXT (and TEXT2 after a |) on stderr, nothing on stdout.
refuses() {
  local code=$1 texts=$2
  shift 2
  "$@" > out 2> err
  local found=$? text rest=$texts
  [ $found -eq "$code" ] || fail "$*" "exit $code, $texts" "exit $found, $(tail -c 600 err)"
  [ ! -s out ] || fail "$*" "nothing on stdout" "$(head -c 200 out)"
  while [ -n "$rest" ]; do
    text=${rest%%|*}
    [ "$text" = "$rest" ] && rest='' || rest=${rest#*|}
    grep -qF -- "$text" err || fail "$*" "$text" "$(tail -c 600 err)"
  done
}

# A program as a terminal starts it: what runs in the background, or under nohup, begins with signals ignored.
attended() { exec env --default-signal=HUP,INT,TERM "$@"; }

# A text of N lines out of a few words, always the same.
make_text() {
  awk -v lines="$1" -v seed="${2:-1}" 'BEGIN {
    count = split("the king man left right hand house of and to in was word day night went said great small sea land", word, " ")
    for (i = 0; i < lines; ++i) {
      line = ""
      seed = (seed * 16807) % 2147483647; length_ = 5 + seed % 8
      for (j = 0; j < length_; ++j) { seed = (seed * 16807) % 2147483647; line = line word[1 + seed % count] " " }
      print line "."
    }
  }'
}

# json FILE KEY: the value of a key of a flat JSON object, a string without its quotes.
json() { sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$1" | head -n 1; }
# Whether a file is one JSON document: read by whatever of the two is there.
is_json() {
  if command -v python3 > /dev/null; then
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$1" 2> json_error
  elif command -v node > /dev/null; then
    node -e 'JSON.parse(require("fs").readFileSync(process.argv[1]))' "$1" 2> json_error
  else
    grep -q '^[{[].*[]}]$' "$1" && [ "$(wc -l < "$1")" -eq 1 ]
  fi
}
# has_keys WHAT FILE KEY...
has_keys() {
  local what=$1 file=$2 key
  shift 2
  is_json "$file" || fail "$what" 'one JSON object on stdout' "$(head -c 300 "$file")"
  for key; do grep -q "\"$key\":" "$file" || fail "$what" "the key $key" "$(head -c 600 "$file")"; done
}

# flip FILE BYTE: changes the lowest bit of a byte.
flip() {
  local value
  value=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
  # shellcheck disable=SC2059
  printf "\\$(printf %03o $((value ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> dd_error
}
lines() { if [ -e "$1" ]; then wc -l < "$1"; else echo 0; fi; }
