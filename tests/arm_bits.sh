#!/bin/sh
# arm_bits.sh PROGRAM OTHER...: a training gives the same model from PROGRAM on AVX2 as from OTHER, a build for another
# processor with the emulator before it, and both generate the same text from it.
set -eu
here=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
i=0
while [ $i -lt 400 ]; do
  echo "line $i: the king went up to the house of the land, and $((i * 7919 % 1000)) men with him."
  i=$((i + 1))
done > "$work/text"
for arch in gpt llama; do
  options="--arch $arch --tokenizer bpe:300 --n-layer 2 --n-head 4 --n-embd 64 --block-size 160 --batch-size 4 --dropout 0.1
    --max-iters 20 --warmup 5 --eval-interval 10 --seed 5 -q"
  # shellcheck disable=SC2086
  GRADUS_ISA=avx2 "$here" train "$work/text" -o "$work/$arch.here" $options
  # shellcheck disable=SC2086
  "$@" train "$work/text" -o "$work/$arch.there" $options
  cmp "$work/$arch.here/model.safetensors" "$work/$arch.there/model.safetensors"
  GRADUS_ISA=avx2 "$here" generate "$work/$arch.here" -p line -n 40 --seed 2 -q > "$work/text.here"
  "$@" generate "$work/$arch.there" -p line -n 40 --seed 2 -q > "$work/text.there"
  cmp "$work/text.here" "$work/text.there"
  echo "ok: $arch: 20 steps and 40 generated tokens, the same bits: $(sha256sum < "$work/$arch.there/model.safetensors" | cut -c1-16)"
done
