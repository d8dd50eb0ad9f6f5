#!/usr/bin/env bash
# What `explain` says of a text in models of each kind of positions, and the lesson of models/transformer/README.md.
source_dir=${GRADUS_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
. "$(dirname "${BASH_SOURCE[0]}")/cli.bash"
. "$source_dir/tests/cli/lesson.bash"

make_text 200 > text
size='--n-layer 2 --n-head 4 --n-embd 16 --block-size 16 --batch-size 2 --tokenizer char --max-iters 6 --warmup 1'
for position in none learned sinusoidal rotary; do
  # shellcheck disable=SC2086
  succeeds "train $position" "$GRADUS" train text -o $position $size --position $position -q
  succeeds "explain $position" "$GRADUS" explain $position 'the king'
  cp out $position.out
  grep -q "^positions  $position: " out || fail "explain $position" 'the kind of positions' "$(cat out)"
  equal "explain $position: a line a token" 't h e   k i n g' "$(sed -n '4,11p' out | awk '{ print substr($0, length($0)) }' | paste -sd' ')"
  equal "explain $position: positions" '0 1 2 3 4 5 6 7' "$(sed -n '4,11p' out | awk '{ print $1 }' | xargs)"
  for threads in 1 4; do
    succeeds "explain $position" "$GRADUS" explain $position 'the king' --threads $threads
    same_file "explain $position on $threads threads" $position.out out
  done
  succeeds "explain $position --json" "$GRADUS" explain $position 'the king' --json -q
  has_keys "explain $position --json" out positions tokens token id position parts norm cosine sum_norm layer_0_norm
  equal "explain $position --json: positions" $position "$(json out positions)"
  parts=8 rotations=0
  case $position in learned | sinusoidal) parts=16 ;; rotary) rotations=1 ;; esac
  equal "explain $position --json: parts" $parts "$(grep -o '"cosine":' out | wc -l)"
  equal "explain $position --json: a rotation" $rotations "$(grep -c '"rotation":' out)"
done
has_keys 'explain rotary --json' out layer head query key scale pairs wavelength before after by_distance distance product visible
grep -q '"layer":1,"head":0,"query":7,"key":0,' out || fail 'explain rotary --json' 'the last and the first token' "$(cat out)"
equal 'distances' '0 1 2 3 4 5 6 7' "$(grep -o '"distance":[0-9-]*' out | cut -d: -f2 | xargs)"
equal 'wavelengths of two pairs' '6.283 628.319' "$(awk '$1 == "pair" { on = 1; next } on && NF == 8 { print $2 }' rotary.out | xargs)"
grep -q '^ *7 .*  as in the text$' rotary.out || fail 'explain rotary' 'the distance in the text' "$(cat rotary.out)"
succeeds 'a key behind its query' "$GRADUS" explain rotary 'the king' --layer 2 --head 3 --tokens 1,4
equal 'a key behind its query: not seen' 7 "$(grep -c '  not seen$' out)"
grep -q "^block 2, head 3: q of token 1 'h', k of token 4 'k'" out || fail 'a key behind its query' 'what is compared' "$(cat out)"
succeeds 'one token' "$GRADUS" explain rotary t
ok 'explain: a line a token, the parts of its row; of rotary models a comparison taken apart; on any threads'

explain() { refuses "$1" "$2" "$GRADUS" explain "${@:3}"; }
explain 2 'TEXT must not be empty' rotary ''
explain 2 'the text must have 1 to block_size tokens; it has 17, block_size is 16' rotary 'the king went and'
explain 2 'the layer must be in [1, 2]: block l is what layer_l leaves; it is 3' rotary the --layer 3
explain 2 'the head must be in [0, 3]; it is -1' rotary the --head -1
explain 2 'a token must be in [0, 2], its place in the text; it is 3' rotary the --tokens 3,0
for tokens in 3 a,b 1,2,3 ,1 1, '1, 2'; do
  explain 2 "--tokens must be two numbers with a comma, such as 5,2; it is '$tokens'" rotary the --tokens "$tokens"
done
explain 1 "'Q' (U+0051) at byte 4" rotary 'the Q'
explain 1 'nowhere' nowhere the
ok 'explain refuses what is not there'

check_lesson models/transformer/README.md 9 's/"equal_bits":true/"equal_bits":false/' '/^ *distance/d' 's/^layer_1.*/&\n/'
