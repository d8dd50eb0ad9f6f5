#!/bin/sh
# make demo: trains a small model on real text, writes with it, and looks at its embeddings.
#   TEXT=book.txt    any text instead of the King James Bible
#   CHECK_HASH=1     fail unless the run hash is the README's
set -eu

gradus=${GRADUS:-build/gradus}
run=${RUN:-runs/demo}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One value of a flat JSON object.
value() { sed -n "s/.*\"$2\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$1"; }
row() { printf '%-6s %s\n' "$1" "$2"; }

text=${TEXT:-}
if [ -n "$text" ]; then
  title=$text
else
  text=$work/king-james.txt
  title='King James'
  bible -f gen1:1-rev22:21 | sed 's/^[^ ]* //' > "$text"
fi
[ -s "$text" ] || { echo "demo: $text must be a text file; it is missing or empty" >&2; exit 1; }

"$gradus" doctor --json > "$work/doctor"
"$gradus" bench peak --threads 1 --json > "$work/peak"
isa=$(value "$work/doctor" isa_chosen)
row cpu "$(value "$work/doctor" cores) cores, $isa, peak $(value "$work/peak" f32_gflops | cut -d. -f1) GFLOP/s a core, $(value "$work/peak" read_gb_per_second | cut -d. -f1) GB/s"

bytes=$(wc -c < "$text")
bits_of() { "$1" -9 -c "$text" | wc -c | awk -v n="$bytes" '{ printf "%.2f", $1 * 8 / n }'; }
gzip_bits=$(bits_of gzip)
bzip2_bits=$(bits_of bzip2)
row text "$title, $(awk -v n="$bytes" 'BEGIN { printf "%.1f", n / 1e6 }') MB          gzip $gzip_bits, bzip2 $bzip2_bits bits/byte"

# The options are written out, so that the run can be repeated by hand; the hash in the README belongs to them.
rm -rf "$run"
"$gradus" train "$text" -o "$run" --arch llama --tokenizer bpe:2048 --n-layer 4 --n-head 4 --n-embd 128 \
  --block-size 128 --batch-size 8 --max-iters 2000 --learning-rate 2e-3 --min-lr 1e-4 --warmup 100 \
  --eval-interval 500 --seed 1337 --json > "$work/result"

bits=$(value "$work/result" val_bits_per_byte)
verdict=$(awk -v b="$bits" -v g="$gzip_bits" -v z="$bzip2_bits" 'BEGIN {
  printf "%.3f bits/byte: %s", b, b < z ? "better than bzip2" : b < g ? "better than gzip" : "gzip is still better" }')
row done "validation $verdict"

printf '\n'
"$gradus" generate "$run" -p 'And the king' -n 100 --seed 1 -q
printf '\n'
# Of a text that somebody brings, these words may be missing; the rest of the demo does not depend on them.
word=king
"$gradus" neighbors "$run" "$word" --layer 0 -k 5 -q > "$work/token" 2> "$work/error" &&
  "$gradus" neighbors "$run" "$word" --layer -1 -k 5 -q > "$work/layer" 2>> "$work/error" &&
  row "$word" "layer 0:$(cut -c"$((${#word} + 2))"- "$work/token")   layer 4:$(cut -c"$((${#word} + 2))"- "$work/layer")" ||
  row "$word" "is too rare in this text to compare: $(cat "$work/error")"
row left "the word in two senses (0~1), and twice in the same one (0~2):"
"$gradus" embed "$run" 'to the right hand or to the left' 'there was not a man left' \
  'turn not to the right hand nor to the left' --compare left -q | sed 's/^/         /'

hash=$(value "$work/result" run_hash | cut -c1-16)
expected=$(sed -n 's/.*run hash `\([0-9a-f]*\)`.*/\1/p' README.md | head -n 1)
status=0
if [ -n "${TEXT:-}" ]; then
  row bits "run hash $hash (the README's belongs to the King James)"
elif [ "$isa" = sse2 ] || [ "$isa" = scalar ]; then
  row bits "run hash $hash (this machine has no fused multiply-add, so its bits differ from the README's)"
elif [ "$hash" = "$expected" ]; then
  row bits "run hash $hash: the same bits as in the README"
else
  row bits "run hash $hash differs from the README's $expected"
  [ -z "${CHECK_HASH:-}" ] || status=1
fi
row next "$gradus generate $run -p TEXT, $gradus embed $run TEXT -o out.npz, make demo TEXT=yourbook.txt"
exit $status
