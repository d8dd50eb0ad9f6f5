# Lessons: README files whose commands are run and whose printed lines are compared. Needs cli.bash and source_dir.

gradus() { "$GRADUS" "$@"; }
needs_a_model_that_is_not_there() {
  [[ $1 = *'$minilm'* && -z ${minilm-} || $1 = *'$smollm2'* && -z ${smollm2-} ]]
}
# lesson FILE: runs each line of its fenced blocks that begins with "$ ", in a folder of its own, and compares what it prints
# with the lines behind it. Says the first difference; else how many commands there were. Commands on a real model, $minilm
# or $smollm2, are left out where that is not set.
lesson() {
  local line number=0 fenced='' command='' at=0 expected='' count=0
  while IFS= read -r line; do
    number=$((number + 1))
    if [ -n "$command" ] && [[ $line = '$ '* || $line = '```'* ]]; then
      eval "$command" > "$work/printed" 2>&1 < /dev/null
      if [ "$expected" != "$(cat "$work/printed")" ]; then
        printf '%s:%d: %s\n' "$1" "$at" "$command"
        diff <(printf '%s\n' "$expected") "$work/printed"
        return 1
      fi
      count=$((count + 1)) command='' expected=''
    fi
    if [[ $line = '```'* ]]; then
      [ -n "$fenced" ] && fenced='' || fenced=1
    elif [ -n "$fenced" ] && [[ $line = '$ '* ]]; then
      needs_a_model_that_is_not_there "$line" || command=${line:2} at=$number
    elif [ -n "$command" ]; then
      expected+=${expected:+$'\n'}$line
    fi
  done < "$1"
  echo $count
}
# take_lesson FILE
take_lesson() {
  mkdir -p lesson
  (cd lesson && lesson "$1") > found
  local code=$?
  rm -r lesson
  return $code
}
# check_lesson README COMMANDS CHANGE...: the lesson of a README of the project prints what it says, in at least so many
# commands; and what a sed command changes in it (a figure, a line lost, a line more) is seen. What is trained has the bits of
# instruction sets with fused multiply-add; a build without one leaves the lesson out.
check_lesson() {
  local name=$1 least=$2 readme=$source_dir/$1 change line commands=0 isa
  shift 2
  # Under the sanitizers a training takes minutes; the other tests see the same code.
  [ "${LESSONS-}" != off ] || return 0
  isa=$("$GRADUS" doctor --json -q 2> /dev/null | sed 's/.*"isa_chosen":"\([a-z0-9]*\)".*/\1/')
  if [ "$isa" = scalar ] || [ "$isa" = sse2 ]; then
    echo "SKIPPED: the lesson of $name: its numbers are those of a fused multiply-add, which $isa has not"
    return
  fi
  while IFS= read -r line; do
    [[ $line != '$ '* ]] || needs_a_model_that_is_not_there "$line" || commands=$((commands + 1))
  done < "$readme"
  take_lesson "$readme" || fail "the lesson of $name" 'what it prints' "$(cat found)"
  equal "the lesson of $name: its commands" $commands "$(cat found)"
  [ "$(cat found)" -ge "$least" ] || fail "the lesson of $name" "at least $least commands" "$(cat found)"
  for change; do
    sed "$change" "$readme" > changed.md
    cmp -s "$readme" changed.md && fail "a changed lesson of $name" "$change to change it" 'the same'
    ! take_lesson "$work/changed.md" || fail "a changed lesson of $name" "to see $change" "$(cat found)"
    grep -q '^/.*changed.md:[0-9]*: ' found || fail "a changed lesson of $name" 'the line' "$(cat found)"
  done
  ok "the lesson of $name prints what it says, $commands commands"
}
