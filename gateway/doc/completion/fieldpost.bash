# bash completion for fieldpost and fieldpost-city. Where nothing is offered, bash completes files.
# Install as /usr/share/bash-completion/completions/fieldpost, with a link fieldpost-city to it.

_fieldpost() {
    local program=${COMP_WORDS[0]##*/} command=${COMP_WORDS[1]} offer=''
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        case $program in
        fieldpost-city)
            offer='serve enroll revoke keys dump verify import report retired changes alarms ca claim
                certs distrust config announce trust --help'
            ;;
        *)
            offer='run check profiles indicators keygen key enroll status doctor probe setup read scan alarm throughput report export
                receipts trust resend backup digest verify correct maintain enter retire page
                user token survey
                --help --version'
            ;;
        esac
    else
        case $before in
        --format)
            offer=csv
            case $program.$command in
            fieldpost.digest) offer='text json svg pbm' ;;
            fieldpost.survey) offer='text geojson' ;;
            fieldpost.report) offer='pdf xlsx html csv json' ;;
            fieldpost.*) offer='csv jsonl senml' ;;
            fieldpost-city.report | fieldpost-city.retired | fieldpost-city.changes) offer='csv json' ;;
            esac
            ;;
        --baud) offer=auto ;;
        --lang | --language) offer='en vi' ;;
        --closing) offer='calendar 14' ;;
        --role) offer='viewer technician administrator' ;;
        --scope) offer='read correct maintain retire push enter probe metrics' ;;
        --by)
            if [ "$program" = fieldpost ]; then compopt +o default && return; fi
            offer='hour day total'
            ;;
        --to-parity) offer='none even odd' ;;
        --technology) offer='lte en-dc sa nr other' ;;
        --config | --code-file | --ca | -c | --key | -k | --out | -o | --sealed | --receipts | \
            --next-ca | --restore) return ;; # files
        --file) # of notices; or the name of a profile
            if [ "$program" = fieldpost-city ]; then compopt +o default; fi
            return
            ;;
        --unit | --to-unit | --to-baud | --from | --to | --at | --series | --note | --bus | -b | \
            --units | --id | --gateway | --seq | --day | --kid | --undo | --reason | --rescale | \
            --reassign | --valid | --city | --code | --pin | --name | --expires | --after | --both | \
            --operator | --time | --utc-offset | --period | --territory)
            compopt +o default && return
            ;;
        *)
            case $program.$command$before in
            fieldpost.enroll--replaces) compopt +o default && return ;; # an id; a city's claim has none
            esac
            case $program.$command in
            fieldpost.run) offer='--config' ;;
            fieldpost.check) offer='--config --plan --json' ;;
            fieldpost.profiles) offer='--json' ;;
            fieldpost.indicators) offer='--config --json' ;;
            fieldpost.keygen) offer='--out' ;;
            fieldpost.key) offer='show rotate --config' ;;
            fieldpost.enroll) offer='--config --city --code --code-file --pin --ca --replaces' ;;
            fieldpost.status) offer='--config --json --lang' ;;
            fieldpost.doctor) offer='--config --bus --json' ;;
            fieldpost.probe) offer='--config --bus' ;;
            fieldpost.setup)
                offer='--config --unit --to-unit --to-baud --to-parity --start --by --yes'
                ;;
            fieldpost.read) offer='--config --json' ;;
            fieldpost.scan) offer='--config --bus --baud --units --all --pause --json' ;;
            fieldpost.alarm) offer='ack --config --by --json' ;;
            fieldpost.throughput) offer='--config --yes --json' ;;
            fieldpost.report)
                offer='approve submit --config --period --territory --format --out --language
                    --closing --draft --version --by --why'
                ;;
            fieldpost.export) offer='--config --format --from --to --series --raw --sealed --unsent' ;;
            fieldpost.receipts) offer='--config' ;;
            fieldpost.trust) offer='--config --file' ;;
            fieldpost.resend) offer='--config --all' ;;
            fieldpost.backup) offer='--config --out' ;;
            fieldpost.digest) offer='--config --day --format' ;;
            fieldpost.verify) offer='--key --from --to --seq --day' ;;
            fieldpost.correct)
                offer='--config --from --to --invalidate --rescale --reassign --reason --by --id --undo'
                ;;
            fieldpost.maintain) offer='calibration swap meter --config --from --to --by' ;;
            fieldpost.enter) offer='--config --unit --at --by --note --force' ;;
            fieldpost.retire) offer='--config --reason --by --at' ;;
            fieldpost.page) offer='--config --pem' ;;
            fieldpost.survey)
                offer='import report --config --operator --technology --time --utc-offset --format --from --to'
                ;;
            fieldpost.user) offer='claim list add reset remove --config --name --role' ;;
            fieldpost.token) offer='add list remove --config --name --scope --expires' ;;
            fieldpost-city.serve) offer='--config' ;;
            fieldpost-city.enroll) offer='--config --id --key' ;;
            fieldpost-city.revoke) offer='--config --id --kid --reason' ;;
            fieldpost-city.keys) offer='--config --json' ;;
            fieldpost-city.dump) offer='--config --raw --format' ;;
            fieldpost-city.verify) offer='--config' ;;
            fieldpost-city.import) offer='--config --receipts' ;;
            fieldpost-city.report) offer='--config --gateway --from --to --by --format' ;;
            fieldpost-city.retired) offer='--config --gateway --format' ;;
            fieldpost-city.changes) offer='--config --gateway --from --to --format' ;;
            fieldpost-city.alarms) offer='--config --gateway --json' ;;
            fieldpost-city.ca | fieldpost-city.certs) offer='--config' ;;
            fieldpost-city.claim) offer='--config --id --valid --replaces' ;;
            fieldpost-city.distrust) offer='--config --id' ;;
            fieldpost-city.config) offer='--config --id --list --file' ;;
            fieldpost-city.announce) offer='--config --next-key --next-ca --after --both' ;;
            fieldpost-city.trust) offer='--config --out --restore' ;;
            esac
            offer="$offer --help"
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$word")
}
complete -o default -F _fieldpost fieldpost fieldpost-city
