# What a shell can do that starts nothing.
declare -A counts
for word in pear fig pear apple fig pear; do ((counts[$word] += 1)); done
echo "counts ${counts[pear]} ${counts[fig]} ${counts[apple]} ${#counts[@]}"
words=("$@")
echo "words ${#words[@]} ${words[-1]} ${words[0]^^} ${words[1]/e/E} ${words[0]:1:3}"
printf -v day '%(%F)T' 1000000000
echo "day $day"
mapfile -t lines <numbers
echo "lines ${#lines[@]} ${lines[7]}"
[[ key-42 =~ ^([a-z]+)-([0-9]+)$ ]] && echo "matched ${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
numbers=(9 1 5 4)
for ((i = 0; i < 4; i++)); do
    for ((k = 0; k < 3; k++)); do
        if ((numbers[k] > numbers[k + 1])); then
            ((t = numbers[k], numbers[k] = numbers[k + 1], numbers[k + 1] = t)) || true
        fi
    done
done
echo "sorted ${numbers[*]}"
read -r line <<<"a here string"
echo "$line"
read -r -d '' text <<END
a here document of $# and ${COLOUR:-none}
  $((2 ** 40))
END
echo "$text"
exec 3<>made
echo "first" >&3
echo "second" >>made
exec 3>&-
while read -r line; do echo "made: $line"; done <made
for path in *; do [[ -f $path && ! -L $path ]] && printf '%s ' "$path"; done
echo
shopt -s globstar nullglob
echo **/note absent*
cd sub/deep && echo "${PWD##*/} ${OLDPWD:+there}" && cd - >/dev/null
factorial() { if (($1 < 2)); then result=1; else factorial $(($1 - 1)) && ((result *= $1)); fi; }
factorial 15
echo "factorial $result"
while read -r line; do input+="<$line>"; done
echo "input $input"

[[ -w made && ! -x made ]] && echo "may write"
trap 'echo "bye $?"' EXIT
exit 5
