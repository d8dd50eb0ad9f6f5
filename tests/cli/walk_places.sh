#!/usr/bin/env bash
# The walk into places: every verb that writes into every kind of folder, every instruction set, and a full disk.
. "$(dirname "${BASH_SOURCE[0]}")/walk.bash"

learn --kind bpe --vocab-size 320 -o bpe.json
learn --kind byte -o byte.json

# ---- Folders ----

cell=folders file=byte.json properties='any text'
rm -rf run
# shellcheck disable=SC2086
fit run gpt $six -q
mkdir place
(
  cd place || exit 1
  mkdir fresh theirs here
  echo 'my notes' > theirs/README.md
  echo '{}' > theirs/config.json
  cp -r ../run run
  echo 'mine' > file
  ln -s here to-fresh
  ln -s theirs to-theirs
  ln -s run to-run
  ln -s file to-file
  ln -s nowhere/at/all to-nothing
  ln -s round round
)
# What train makes of each, and where the run stands then.
while read -r into code at; do
  cp -a place there
  # shellcheck disable=SC2086
  gradus train text -o "there/$into" --tokenizer byte $tiny $six -q > out 2> err
  holds "train -o $into: exit code" "$code" $?
  if [ "$code" -eq 0 ]; then
    # The card tells the command, and with it the folder.
    same "train -o $into" run/model.safetensors "there/$at/model.safetensors"
    rm -r "there/${at%%/*}"
    [ ! -e "place/${at%%/*}" ] || mkdir "there/${at%%/*}"
  else
    grep -q "^gradus: .*there/$into" err || fail "$cell: train -o $into" 'the folder named' "$(cat err)"
  fi
  diff -r --no-dereference place there > difference || fail "$cell: train -o $into" 'the others as they were' "$(cat difference)"
  rm -r there
done << 'END'
new 0 new
new/below/it 0 new/below/it
fresh 0 fresh
fresh/ 0 fresh
to-fresh 0 here
theirs 2
to-theirs 2
run 2
to-run 2
file 2
to-file 2
file/below 1
to-nothing 1
round 1
END
ok 'train -o: what stands in a folder already stays as it is'

# The same of verbs that write a file; an embedding has its rows beside it.
while read -r ending command; do
  cell="gradus $command"
  # shellcheck disable=SC2086
  runs $command "expected$ending" -q
  while read -r into code at; do
    mkdir there there/folder$ending there/here
    for name in file to-folder to-nothing round; do echo old > there/$name$ending.tokens.jsonl; done
    echo old > there/file$ending
    echo kept > there/here/file
    ln -s here/made there/to-new$ending
    ln -s here/file there/to-file$ending
    ln -s here there/to-folder$ending
    ln -s nowhere/at there/to-nothing$ending
    ln -s round$ending there/round$ending
    snapshot there > before
    # shellcheck disable=SC2086
    gradus $command "there/$into$ending" -q > out 2> err
    holds "to $into: exit code" "$code" $?
    if [ "$code" -eq 0 ]; then
      same "to $into" "expected$ending" "there/${at/%./$ending}"
      [ ! -e expected$ending.tokens.jsonl ] || same "the rows, to $into" expected$ending.tokens.jsonl "there/$into$ending.tokens.jsonl"
    else
      snapshot there > after
      same "to $into: nothing written" before after
    fi
    [ -z "$(find there -name '*.partial')" ] || fail "$cell to $into" 'nothing half-written' "$(find there)"
    rm -r there
  done << 'END'
new 0 new.
file 0 file.
to-new 0 here/made
to-file 0 here/file
folder 1
to-folder 1
to-nothing 1
round 1
missing/new 1
here/file/new 1
END
done << 'END'
.npz embed run the-king sea --level token -o
.safetensors embed run the-king sea --level word -o
.npy tokenizer encode run king -o
.bin tokenizer encode run king -o
.json tokenizer train text --vocab-size 300 -o
.json convert run -o
END
ok 'what writes a file writes it whole, behind links too, or leaves everything as it was'

# ---- Instruction sets ----

unset GRADUS_ISA
sets=$("$GRADUS" doctor --json | sed 's/.*"isa_available":\[\([^]]*\)\].*/\1/; s/[",]/ /g')
for family in gpt llama; do
  rm -f class.*
  for isa in $sets; do
    case $isa in avx2 | avx512 | neon) class=fused ;; *) class=apart ;; esac
    export GRADUS_ISA=$isa
    cell="$isa, $family" file=bpe.json properties='any text begins'
    rm -rf run
    check_train $family
    check_resume $family
    check_eval
    check_generate
    gives printed generate run -p 'the king' -n 12 -q
    cat run/model.safetensors printed evaluated > made
    [ -e class.$class ] || cp made class.$class
    same "the bits of its class, $class" class.$class made
    unset GRADUS_ISA
  done
  [ ! -e class.fused ] || [ ! -e class.apart ] || ! cmp -s class.fused class.apart ||
    fail "$family: instruction sets" 'other bits without fused multiply-add' 'the same'
done
check_json
ok "train, resume, eval and generate on$(printf ' %s' $sets): the same bits within a class"

# ---- A full disk ----

cell='a full disk' file=byte.json properties='any text'
mkdir small
if [ "$(id -u)" -ne 0 ]; then
  echo 'SKIPPED: a full disk: only root can mount one'
elif ! mount -t tmpfs -o size=6m tmpfs small 2> mount_error; then
  echo "SKIPPED: a full disk: $(cat mount_error)"
else
  cleanups+=("umount $work/small")
  fill() { cat /dev/zero > small/filler 2> fill_error; }
  rm -rf whole
  fit whole gpt --max-iters 20 --eval-interval 0 -q
  cp -r whole small/run
  runs resume whole --max-iters 30 -q
  fill
  snapshot small > before
  # shellcheck disable=SC2086
  refuses 1 'must fit on the disk' gradus train text -o small/new --tokenizer byte $tiny $six -q
  refuses 1 'must fit on the disk' gradus resume small/run --max-iters 30 -q
  while read -r command; do
    # shellcheck disable=SC2086
    refuses 1 'No space left' gradus $command -q
  done << 'END'
embed small/run the king -o small/new.npz
embed small/run the king -o small/new.safetensors
tokenizer encode small/run --input text -o small/new.npy
tokenizer encode small/run --input text -o small/new.bin
tokenizer train text --vocab-size 300 -o small/new.json
convert small/run -o small/new.json
END
  for command in 'eval small/run --input text' 'generate small/run -p king -n 3' 'neighbors small/run king' 'info small/run'; do
    # shellcheck disable=SC2086
    runs $command
  done
  snapshot small > after
  same 'everything is as it was' before after

  # A pair of files of which only one would fit stays the old pair.
  rm small/filler
  for to in npz safetensors; do
    runs embed small/run 'the king' -o small/old.$to -q
    cp small/old.$to old
    cp small/old.$to.tokens.jsonl old.tokens
    fill
    truncate -s -12288 small/filler
    refuses 1 'No space left' gradus embed small/run --input text --truncate --level sentence -o small/old.$to -q
    same "the vectors of the old pair, .$to" old small/old.$to
    same "the rows of the old pair, .$to" old.tokens small/old.$to.tokens.jsonl
    rm small/filler small/old.*
  done

  # What a writer that died left behind is room enough.
  head -c 2000000 /dev/zero > small/run/state.safetensors.99999-0.partial
  head -c 200000 /dev/zero > small/run/model.safetensors.next
  fill
  runs resume small/run --max-iters 30 -q
  same 'resumed on what it freed' whole/model.safetensors small/run/model.safetensors
  holds 'files of the run' 'README.md config.json metrics.jsonl model.safetensors state.safetensors tokenizer.json' "$(ls small/run | xargs)"
  ok 'a full disk: nothing half-written, nothing lost, and resume takes the room that it frees'
fi
