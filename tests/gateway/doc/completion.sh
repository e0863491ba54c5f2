#!/bin/bash
# completion.sh BIN: bash offers exactly the commands and options that the programs' own help names.
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

commands=$("$bin/fieldpost" --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort | xargs)
is 'fieldpost' "$(offered fieldpost '')" "--help --version $commands"
for command in $commands; do
    help=$("$bin/fieldpost" "$command" --help)
    acts=$(sed -n "s/^\(usage:\)\? *fieldpost $command \(\[[^]]*\] \)\?\([A-Z|/*]* \)\?\([a-z]\+\) .*/\4/p" \
        <<<"$help" | sort -u)
    is "fieldpost $command" "$(offered "/usr/bin/fieldpost" "$command" '')" \
        "$(tr ' ' '\n' <<<"$(named <<<"$help") $acts" | sort | paste -sd ' ' | sed 's/^ *//')"
done
# a usage that goes on in the next line is one
usage=$("$bin/fieldpost-city" --help | sed -e ':a' -e '$!N' -e 's/\n  *\[/ [/' -e 'ta' -e 'P' -e 'D')
city=$(sed -n 's/.* fieldpost-city \([a-z]*\) .*/\1/p' <<<"$usage" | sort | xargs)
is 'fieldpost-city' "$(offered fieldpost-city '')" "--help $city"
for command in $city; do
    is "fieldpost-city $command" "$(offered fieldpost-city "$command" '')" \
        "$(grep " fieldpost-city $command " <<<"$usage" | named)"
done
is 'a beginning' "$(offered fieldpost ex)" export
is 'an option that has begun' "$(offered fieldpost export --fr)" --from
is '--format' "$(offered fieldpost export --format '')" 'csv jsonl senml'
is '--format of the city' "$(offered fieldpost-city dump --format '')" csv
is 'behind a --replaces that takes no id' "$(offered fieldpost-city claim --replaces --va)" --valid
is 'behind one that takes an id' "$(offered fieldpost enroll --replaces '')" ''
is 'a file of notices' "$(offered fieldpost-city trust --out '')" ''
is 'a file' "$(offered fieldpost check --config '')" ''
is 'a time' "$(offered fieldpost export --from '')" ''
exit $failed
