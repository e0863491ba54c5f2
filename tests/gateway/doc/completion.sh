#!/bin/bash
# completion.sh BIN: bash offers exactly the commands, options and words that the programs' own help names.
set -euo pipefail
bin=$1
root=$(cd "$(dirname "$0")/../../.." && pwd)
# shellcheck disable=SC1091 # the file under test
. "$root/gateway/doc/completion/fieldpost.bash"
# compopt works only while bash completes
compopt() { :; }
failed=0

# offered PROGRAM WORD...: what is offered for the last word, sorted
offered() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _fieldpost
    printf '%s\n' "${COMPREPLY[@]}" | sort | xargs
}

# is WHAT GOT WANTED
is() {
    if [ "$2" != "$3" ]; then
        echo "$1: offered \"$2\", wanted \"$3\""
        failed=1
    fi
}

# The options that a text names, and --help, sorted.
named() { { grep -oE -e '--[a-z]+(-[a-z]+)*' || true; echo --help; } | sort -u | xargs; }

# values PROGRAM COMMAND USAGE: behind each option that takes one of some words, [--format csv|json],
# these words are offered.
values() {
    local option words
    while read -r option words; do
        is "$1 $2 $option" "$(offered "$1" "$2" "$option" '')" "$(tr '|' '\n' <<<"$words" | sort | xargs)"
        compared=$((compared + 1))
    done < <(grep -oE -e '--[a-z-]+ [a-z]+(\|[a-z]+)*(\]| |$)' <<<"$3" | tr -d ']')
}
compared=0

# The words of an option that a help text explains as "  --role ROLE  viewer, technician (…): …".
explained() {
    sed -n "/^  $1 [A-Z]* /,/:\|^\$/p" | sed -e "s/^  $1 [A-Z]* //" -e 's/([^)]*)//g' -e 's/[:.].*//' |
        tr ',' '\n' | xargs -n 1 | sort | xargs
}

commands=$("$bin/fieldpost" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort | xargs)
is 'fieldpost' "$(offered fieldpost '')" "--help --version $commands"
for command in $commands; do
    help=$("$bin/fieldpost" "$command" --help)
    acts=$(sed -n "s/^\(usage:\)\? *fieldpost $command \(\[[^]]*\] \)\?\([A-Z|/*]* \)\?\([a-z]\+\) .*/\4/p" \
        <<<"$help" | sort -u)
    is "fieldpost $command" "$(offered "/usr/bin/fieldpost" "$command" '')" \
        "$(tr ' ' '\n' <<<"$(named <<<"$help") $acts" | sort | paste -sd ' ' | sed 's/^ *//')"
    values fieldpost "$command" "$(sed '/^$/q' <<<"$help")"
done
is '--role' "$(offered fieldpost user --role '')" "$("$bin/fieldpost" user --help | explained --role)"
is '--scope' "$(offered fieldpost token --scope '')" "$("$bin/fieldpost" token --help | explained --scope)"
# a usage that goes on in the next line is one
usage=$("$bin/fieldpost-city" --help | sed -e ':a' -e '$!N' -e 's/\n  *\[/ [/' -e 'ta' -e 'P' -e 'D')
city=$(sed -n 's/.* fieldpost-city \([a-z]*\) .*/\1/p' <<<"$usage" | sort | xargs)
is 'fieldpost-city' "$(offered fieldpost-city '')" "--help $city"
for command in $city; do
    own=$(grep " fieldpost-city $command " <<<"$usage")
    is "fieldpost-city $command" "$(offered fieldpost-city "$command" '')" "$(named <<<"$own")"
    values fieldpost-city "$command" "$own"
done
if [ $compared -lt 9 ]; then echo "only $compared options with words were found" && failed=1; fi
is 'a beginning' "$(offered fieldpost ex)" export
is 'an option that has begun' "$(offered fieldpost export --fr)" --from
is 'behind a --replaces that takes no id' "$(offered fieldpost-city claim --replaces --va)" --valid
is 'behind one that takes an id' "$(offered fieldpost enroll --replaces '')" ''
is 'a file of notices' "$(offered fieldpost-city trust --out '')" ''
is 'a file' "$(offered fieldpost check --config '')" ''
is 'a time' "$(offered fieldpost export --from '')" ''
exit $failed
