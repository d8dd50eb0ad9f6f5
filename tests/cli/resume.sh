#!/usr/bin/env bash
# Killed at any moment and resumed, a training ends with the bytes of one that never stopped. SLOW=1: 20 moments.
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"

kills=8
[ -z "${SLOW:-}" ] || kills=20
every=5
# Enough steps, and long enough ones, that no kill finds the run finished.
steps=$((kills * 16))
make_text 400 > text
options="--tokenizer char --n-layer 2 --n-head 2 --n-embd 32 --block-size 32 --batch-size 32 --dropout 0.1 --warmup 5
  --max-iters $steps --eval-interval 20 --sample-every 0 --seed 3 --threads 2"
# Moments come from a fixed seed, but count steps and files, not seconds: they are the same on slow machines.
RANDOM=20241

# The metrics without what differs from run to run: times and memory.
measured() { sed 's/,"tokens_per_second.*eta_seconds":[^,}]*//' "$1/metrics.jsonl"; }
same_run() {
  same_file "$1: model" whole/model.safetensors "$2/model.safetensors"
  same_file "$1: metrics" <(measured whole) <(measured "$2")
  equal "$1: steps listed" "$(seq "$steps")" "$(sed 's/{"step":\([0-9]*\),.*/\1/' "$2/metrics.jsonl")"
}
# start COMMAND...: in the background; `pid` is the program's own.
start() {
  # Emptied here, not by the child: what the last program said must not be read as this one's.
  : > out
  : > err
  attended "$@" >> out 2>> err &
  pid=$!
}
alive() { kill -0 "$pid" 2> kill_error; }
wait_for_lines() {
  while alive && [ "$(lines run/metrics.jsonl)" -lt "$1" ]; do sleep 0.01; done
}
# A file of the checkpoint stands half-written or staged; without a process of its own, which would be slower than that.
shopt -s nullglob
writing() {
  local found=(run/*.safetensors.*)
  [ ${#found[@]} -gt 0 ]
}
step_of() { head -c 400 "$1" | sed 's/.*"step":"\([0-9]*\)".*/\1/' | head -n 1; }

# shellcheck disable=SC2086
succeeds 'the whole run' "$GRADUS" train text -o whole $options --checkpoint-every $every
equal 'the whole run: steps listed' "$(seq "$steps")" "$(sed 's/{"step":\([0-9]*\),.*/\1/' whole/metrics.jsonl)"

# shellcheck disable=SC2086
start "$GRADUS" train text -o run $options --checkpoint-every $every
inside=0
for ((i = 0; i < kills; ++i)); do
  reached=$(lines run/metrics.jsonl)
  if ((i % 2 == 0)); then
    wait_for_lines $((reached + 3 + RANDOM % 8))
    while alive && writing; do :; done
  else
    wait_for_lines $((reached + 1 + RANDOM % 5))
    while alive && ! writing; do :; done
  fi
  kill -KILL "$pid" 2> kill_error
  wait "$pid" 2> wait_error
  code=$?
  [ $code -eq 137 ] || fail "kill $i" 'a run that is still going' "exit $code after $(lines run/metrics.jsonl) of $steps steps: $(tail -c 300 err)"
  ! writing || inside=$((inside + 1))
  done_before=$(lines run/metrics.jsonl)
  start "$GRADUS" resume run
  while alive && ! grep -q 'at step [0-9]*:' err; do sleep 0.01; done
  from=$(sed -n 's/.*at step \([0-9]*\):.*/\1/p' err)
  [ -n "$from" ] || fail "resume after kill $i" 'to say at which step' "$(cat err)"
  [ $((done_before - from)) -le $every ] || fail "kill $i" "at most $every steps repeated" "$((done_before - from)): from $done_before back to $from"
done
wait "$pid" || fail 'the last resume' 'exit 0' "$(cat err)"
same_run "after $kills kills" run
[ -z "$(ls run | grep -E 'partial|next')" ] || fail 'a finished run' 'no staged files' "$(ls run)"
ok "killed $kills times, $inside times inside a checkpoint's write, and resumed to the same bytes; at most $every steps repeated"
# The spinning wait may still lose a race now and then; never landing inside would mean that nothing was tested.
[ "$inside" -gt 0 ] || fail 'kills' "some inside a checkpoint's write" none

cp run/metrics.jsonl metrics.before
cp run/state.safetensors state.before
succeeds 'resuming a finished run' "$GRADUS" resume run
same_run 'resuming a finished run' run
same_file 'resuming a finished run: metrics' metrics.before run/metrics.jsonl
same_file 'resuming a finished run: state' state.before run/state.safetensors
grep -q 'finished before' err || fail 'resuming a finished run' 'to say so' "$(cat err)"
succeeds 'resuming a finished run, --json' "$GRADUS" resume run --json -q
has_keys 'resume --json' out steps train_loss val_loss val_bits_per_byte seconds tokens_per_second peak_rss_bytes run_hash
equal 'its steps' "$steps" "$(json out steps)"
ok 'resuming a finished run changes nothing and exits 0'

# Ctrl-C, and the same for SIGTERM and SIGHUP, far from any checkpoint that is due.
for signal in INT TERM HUP; do
  rm -rf run
  # shellcheck disable=SC2086
  start "$GRADUS" train text -o run $options --json --checkpoint-every 1000 --profile $steps
  wait_for_lines 13
  kill -$signal "$pid"
  wait "$pid"
  code=$?
  equal "exit code after SIG$signal" 130 $code
  reached=$(lines run/metrics.jsonl)
  [ "$reached" -lt "$steps" ] || fail "SIG$signal" 'to come before the end' "$reached steps"
  equal "SIG$signal: the checkpoint is of the last step" "$reached" "$(step_of run/model.safetensors)"
  grep -q "stopped after step $reached, checkpointed" err || fail "SIG$signal" "to say 'stopped after step $reached'" "$(cat err)"
  # A profile that was asked for is not lost.
  grep -q "^trace .* steps 1 to $reached (--profile asked for $steps)" err || fail "SIG$signal" 'the steps of the trace' "$(cat err)"
  equal "SIG$signal: steps in the trace" "$reached" "$(grep -o '{"name":"AdamW"' run/profile.json | wc -l)"
  has_keys "train --json after SIG$signal" out steps complete
  equal "steps after SIG$signal" "$reached" "$(json out steps)"
  equal "complete after SIG$signal" false "$(json out complete)"
  succeeds "resume after SIG$signal" "$GRADUS" resume run -q
  same_run "SIG$signal and resume" run
  ok "SIG$signal at step $reached: exit 130, checkpointed there, resumed to the same bytes"
done

# A process that died before its first checkpoint has nothing to resume, and is in nobody's way.
rm -rf run
mkdir run
cp whole/README.md whole/config.json whole/tokenizer.json run
refuses 1 'must hold model.safetensors' "$GRADUS" resume run
# shellcheck disable=SC2086
succeeds 'training where one died before its first checkpoint' "$GRADUS" train text -o run $options -q
same_run 'training where one died before its first checkpoint' run
ok 'a run that died before its first checkpoint can be started again'

# A line of metrics that a crash cut in half, and lines of steps that were lost.
rm -rf run
# shellcheck disable=SC2086
start "$GRADUS" train text -o run $options --checkpoint-every $every
wait_for_lines 12
kill -KILL "$pid"
wait "$pid" 2> wait_error
printf '{"step":99,"loss":1,"bits' >> run/metrics.jsonl
succeeds 'resume after half a line' "$GRADUS" resume run -q
same_run 'resume after half a line of metrics' run
ok 'half a line at the end of metrics.jsonl is cut off'

cp -r run damaged
head -c 300 /dev/zero | cat damaged/metrics.jsonl - > damaged.metrics
echo >> damaged.metrics
mv damaged.metrics damaged/metrics.jsonl
succeeds 'resume beside a damaged log' "$GRADUS" resume damaged --max-iters $((steps + 1))
grep -q 'metrics.jsonl: 1 line cannot be read' err || fail 'a damaged log' 'to be said' "$(cat err)"
succeeds 'info beside a damaged log' "$GRADUS" info damaged
grep -q "^history  $((steps + 1)) steps, .*, 1 line cannot be read" out || fail 'info of a damaged log' 'the other lines' "$(cat out)"
succeeds 'a rate for later' "$GRADUS" resume damaged --learning-rate 0.1
grep -q 'no step follows; what is given anew is remembered' err || fail 'a rate for later' 'to be said' "$(cat err)"
rate=$(tail -n 1 damaged/metrics.jsonl | sed 's/.*"lr":\([^,]*\).*/\1/')
succeeds 'and later' "$GRADUS" resume damaged --max-iters $((steps + 2))
grep -q "the learning rate goes from $(printf %.3g "$rate") at step $((steps + 1)) to " err || fail 'the rate that was' "$rate" "$(cat err)"
refuses 2 "'-' is a stream" "$GRADUS" resume damaged --text -
ok 'a damaged log keeps nobody from resuming, and is left as it is'

# More steps than the run was started with.
succeeds 'resume --max-iters' "$GRADUS" resume run --max-iters $((steps + 3)) --json -q
equal 'steps after resume --max-iters' $((steps + 3)) "$(json out steps)"
equal 'lines after resume --max-iters' $((steps + 3)) "$(lines run/metrics.jsonl)"
refuses 2 "--max-iters must not lie before the checkpoint, which is at step $((steps + 3))" "$GRADUS" resume run --max-iters 5
ok 'resume --max-iters continues a finished run'

# What is given anew at resume: said with both rates, and remembered.
rate() { sed -n "s/^{\"step\":$2,.*\"lr\":\([^,]*\),.*/\1/p" "$1/metrics.jsonl"; }
succeeds 'a run to go on with' "$GRADUS" train text -o on --tokenizer char --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 \
  --batch-size 2 --warmup 2 --max-iters 20 --eval-interval 0 -q
equal 'the lowest rate of a default run' 1e-04 "$(sed 's/.*min_lr\\":\([^,]*\),.*/\1/' <(head -c 2000 on/state.safetensors) | head -n 1)"
cp -r on longer
succeeds 'a longer run' "$GRADUS" resume longer --max-iters 40
grep -q "^note .*learning rate goes from 0.000107 at step 20 to 0.0005.* at step 21" err ||
  fail 'a longer run' 'both learning rates' "$(cat err)"
cp -r on lower
succeeds 'a lower rate' "$GRADUS" resume lower --max-iters 22 --learning-rate 5e-5 --schedule constant -q
equal 'the rate of step 21' 5e-05 "$(rate lower 21)"
cp -r lower remembered
succeeds 'a lower rate, later' "$GRADUS" resume lower --max-iters 24 -q
equal 'the rate of step 24' 5e-05 "$(rate lower 24)"
# The schedule is constant, so what was remembered of the lowest rate shows when another is named.
succeeds 'the lowest rate' "$GRADUS" resume remembered --max-iters 24 --schedule linear --min-lr 1e-5 -q
equal 'the rate of step 24, linear' 1 "$(awk -v rate="$(rate remembered 24)" 'BEGIN { print (rate > 1e-5 && rate < 2e-5) }')"
refuses 2 '--min-lr must not be above --learning-rate' "$GRADUS" resume on --max-iters 22 --min-lr 1
refuses 2 "--learning-rate: must be a number; it is 'low'" "$GRADUS" resume on --max-iters 22 --learning-rate low
refuses 2 "--schedule: must be one of" "$GRADUS" resume on --schedule stairs
refuses 2 '--warmup and the fall of wsd must fit' "$GRADUS" train text -o timed --tokenizer char --n-layer 1 --n-head 2 --n-embd 16 \
  --block-size 16 --batch-size 2 --time 1s --schedule wsd --warmup 1000000000 -q
[ ! -e timed ] || fail 'a schedule that does not fit --time' 'nothing written' "$(ls timed)"
ok 'resume takes another learning rate and schedule, says what the rate does, and remembers'

# A run of no steps.
succeeds 'no step' "$GRADUS" train text -o none --tokenizer char --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --batch-size 2 \
  --max-iters 0 --json
equal 'no step: training loss' null "$(json out train_loss)"
grep -q 'step 0: the folder holds the initial weights' err || fail 'no step' 'to say so' "$(cat err)"
succeeds 'resume of no step' "$GRADUS" resume none --max-iters 3 --json -q
equal 'resume of no step' 3 "$(json out steps)"
ok 'a run of no steps holds the initial weights, and goes on'

# An instruction set that rounds otherwise.
if "$GRADUS" doctor --json | grep -q '"isa_available":.*"sse2".*avx2'; then
  refuses 1 'must round as the run|sse2|--force' env GRADUS_ISA=sse2 "$GRADUS" resume on --max-iters 21
  succeeds 'another instruction set, same class' env GRADUS_ISA=avx2 "$GRADUS" resume on --max-iters 21 -q
  succeeds 'another instruction set, forced' env GRADUS_ISA=sse2 "$GRADUS" resume on --max-iters 22 --force
  grep -q '^note .*with fused multiply-add' err || fail 'another instruction set, forced' 'to say so' "$(cat err)"
  refuses 1 'without fused multiply-add' "$GRADUS" resume on --max-iters 23
fi
ok 'an instruction set with other bits needs --force'

# A run that keeps what fills the disk needs no more room than its next checkpoints.
succeeds 'a run that keeps' "$GRADUS" train text -o keeping --tokenizer char --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 \
  --batch-size 2 --max-iters 20 --checkpoint-every 1 --keep 100000 --eval-interval 0
grep -q '^plan .* 1.[4-8] MB on disk' err || fail '--keep 100000 of 21 checkpoints' 'a plan of 21 checkpoints' "$(cat err)"
if [ "$(id -u)" -eq 0 ] && mkdir small && mount -t tmpfs -o size=2300k tmpfs small 2> mount_error; then
  cleanups+=("umount $work/small")
  cp -r keeping small/run
  succeeds 'resume of a run whose kept checkpoints would not fit again' "$GRADUS" resume small/run --max-iters 21 -q
fi
ok 'the disk that is asked for is what the checkpoints to come take'

# The text and the tokenizer must be those of the run.
cp text text.kept
printf 'x' >> text
refuses 1 'text: must be the text that the run was started with; it has changed' "$GRADUS" resume run
rm text
refuses 1 'text: cannot be opened|named by --text' "$GRADUS" resume run
mv text.kept moved
printf 'another' > text
refuses 1 'text: must be the text that the run was started with' "$GRADUS" resume run --text text
rm text
succeeds 'a text that has moved' "$GRADUS" resume run --text moved -q
succeeds 'a text that has moved, later' "$GRADUS" resume run -q
succeeds 'and for other verbs' "$GRADUS" neighbors run king -q -k 1
mv moved text
succeeds 'back again' "$GRADUS" resume run --text text -q
sed 's/"k":/"j":/' run/tokenizer.json > tokenizer.other
mv tokenizer.other run/tokenizer.json
refuses 1 'run/tokenizer.json|must be the tokenizer that the run was started with' "$GRADUS" resume run
ok 'a text or tokenizer that has changed is refused'
