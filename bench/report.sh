#!/bin/sh
# Writes one table of the program's speeds, each as a fraction of a limit that is measured beside it, to stdout and to
# BUILD/bench/report.txt:   bench/report.sh BUILD
set -eu
build=${1:?the folder of the build must be given}
report=$build/bench/report.txt
part=$build/bench/report.part
trap 'rm -f "$part"' EXIT
: > "$report"

show() { printf '%s\n' "$@" | tee -a "$report"; }
run() {
  "$@" > "$part"
  tee -a "$report" < "$part"
}
gradus() { run "$build/gradus" "$@"; }

show '== the machine and its limits'
gradus doctor
gradus bench peak
show '' '== matrix products'
gradus bench gemm
show '' '== training: nano, micro and gpt2 presets'
gradus bench train
gradus bench train --preset micro --steps 5
gradus bench train --preset gpt2 --batch-size 1 --steps 5
show '' '== generating and embedding'
gradus bench generate
gradus bench embed
show '' '== growth of a training step'
gradus bench growth
show '' '== ops, forward and with their gradient; medians of 5'
run "$build/bench/gradus_bench" --benchmark_repetitions=5 --benchmark_min_time=0.05
echo "written to $report" >&2
