#!/usr/bin/env bash
# The same training is the same file: whatever the threads, and on every instruction set with fused multiply-add.
# SLOW=1: also 20 steps of a model of 10.6 million parameters.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"

make_text 400 > text
sets=$("$GRADUS" doctor --json | sed 's/.*"isa_available":\[\([^]]*\)\].*/\1/; s/[",]/ /g' | xargs)
best=${sets##* }
fma=
for isa in $sets; do case $isa in avx2 | avx512 | neon) fma="$fma $isa" ;; esac; done

gpt="--tokenizer char --n-layer 2 --n-head 4 --n-embd 64 --block-size 32 --batch-size 8"
llama="--arch llama --tokenizer bpe:300 --n-layer 2 --n-head 4 --n-kv-head 2 --n-embd 96 --block-size 48 --batch-size 6"
# train OUT ISA THREADS OPTIONS...
train() {
  local out=$1 isa=$2 threads=$3
  shift 3
  GRADUS_ISA=$isa succeeds "training on $isa, $threads threads" "$GRADUS" train text -o "$out" "$@" --dropout 0.1 \
    --max-iters 40 --warmup 5 --eval-interval 20 --seed 7 --threads "$threads" --json -q
  equal "run_hash of $out" "$(json out run_hash)" "$(sha256sum "$out/model.safetensors" | cut -d' ' -f1)"
}

for arch in gpt llama; do
  options=${!arch}
  first=
  for isa in $sets; do
    # The scalar set is slow and is held to this by the op tests.
    [ "$isa" != scalar ] || [ "$sets" = scalar ] || continue
    alone=
    for threads in 1 2 4; do
      # All thread counts on the best set; on the others the ends.
      [ "$threads" != 2 ] || [ "$isa" = "$best" ] || continue
      out=$arch.$isa.$threads
      # shellcheck disable=SC2086
      train "$out" "$isa" $threads $options
      [ -n "$alone" ] || alone=$out
      same_file "$arch on $isa: 1 and $threads threads" "$alone/model.safetensors" "$out/model.safetensors"
      case " $fma " in
        *" $isa "*)
          [ -n "$first" ] || first=$out
          same_file "$arch: $first and $out" "$first/model.safetensors" "$out/model.safetensors"
          # Also what was measured on the way, to the last digit: step, losses, rates, norms.
          sed 's/,"tokens_per_second.*eta_seconds":[^,}]*//' "$first/metrics.jsonl" > a
          sed 's/,"tokens_per_second.*eta_seconds":[^,}]*//' "$out/metrics.jsonl" > b
          same_file "$arch: metrics of $first and $out" a b
          ;;
      esac
    done
    ok "$arch on $isa: the same bytes with 1 and more threads"
  done
done

# What must change the bytes does: else the comparisons above would prove nothing.
# shellcheck disable=SC2086
train gpt.other "$best" 2 $gpt --learning-rate 2e-3
cmp -s gpt.other/model.safetensors "gpt.$best.1/model.safetensors" &&
  fail 'another learning rate' 'another model' 'the same bytes'
ok 'another learning rate is another model'

set -- $fma
if [ $# -ge 2 ]; then
  ok "the same bytes on$fma"
else
  echo "SKIPPED: equality of instruction sets: this machine has only one with fused multiply-add (it has $sets)"
fi

if [ -n "${SLOW:-}" ]; then
  first=
  for isa in $fma; do
    GRADUS_ISA=$isa succeeds "20 steps of the micro preset on $isa" "$GRADUS" train text -o "micro.$isa" \
      --tokenizer char --preset micro --max-iters 20 --warmup 5 --eval-interval 0 --json -q
    first=${first:-micro.$isa}
    same_file "micro: $first and micro.$isa" "$first/model.safetensors" "micro.$isa/model.safetensors"
  done
  ok "20 steps of the micro preset: the same bytes on$fma"
fi

# Looking at a training does not change it. An evaluation lies between the steps that are looked at, and is no part of them.
# events OUT NAME PHASE: how many the trace holds.
events() { grep -o "{\"name\":\"$2\",\"cat\":\"$3\"" "$1/profile.json" | wc -l; }
# shellcheck disable=SC2086
train profiled "$best" 2 $gpt --profile 25
same_file '--profile' "gpt.$best.2/model.safetensors" profiled/model.safetensors
grep -q '^linear  *backward' err || fail '--profile' "a line of linear's backward" "$(cat err)"
grep -q '^trace .* steps 1 to 25, for' err || fail '--profile' 'the steps it covers' "$(cat err)"
is_json profiled/profile.json || fail '--profile' 'a trace in profile.json' "$(head -c 200 profiled/profile.json)"
equal '--profile: steps in the trace' 25 "$(events profiled AdamW step)"
equal '--profile: norms of the steps alone, forward' 125 "$(events profiled layer_norm forward)"
equal '--profile: norms of the steps alone, backward' 125 "$(events profiled layer_norm backward)"
equal "--profile: an evaluation's ops" 0 "$(events profiled token_losses forward)"
# A run with fewer steps than were asked for has its trace too.
# shellcheck disable=SC2086
train short "$best" 2 $gpt --profile 50
grep -q '^trace .* steps 1 to 40 (--profile asked for 50), for' err || fail '--profile 50' 'the steps it covers' "$(cat err)"
equal '--profile 50: steps in the trace' 40 "$(events short AdamW step)"
ok '--profile says where time goes, writes a trace, and changes no bit'
