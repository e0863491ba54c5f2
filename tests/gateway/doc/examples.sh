#!/bin/bash
# examples.sh BIN: the configurations that README and manual print are good as printed, once the
# files that they name are there, and the series of README's commands are among them.
set -euo pipefail
bin=$(cd "$1" && pwd)
root=$(cd "$(dirname "$0")/../../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# literal PAGE KEY [N]: the first (Nth) block of a manual page that starts with that key
literal() {
    awk -v key="$2:" -v n="${3:-1}" '/^\.Bd/ { on = 1; first = 1; next } /^\.Ed/ { on = 0 }
        on && first { first = 0; is = index($0, key) == 1 && ++seen == n } on && is' \
        "$root/gateway/doc/man/$1"
}

"$bin/fieldpost" keygen --out device.key >city-sign.pub 2>keygen.log
cp city-sign.pub city-ca.pem # any PEM will do: check opens no connection
awk '/^```yaml$/ { on = 1; next } /^```$/ { on = 0 } on' "$root/README.md" >readme.yaml
literal fieldpost.yaml.5 gateway | sed "s|/etc/fieldpost/||; s|/var/lib/fieldpost/||" >manual.yaml
for f in readme manual; do
    [ -s $f.yaml ]
    "$bin/fieldpost" check --config $f.yaml
    sed 's/renke-weather/renke-wether/' $f.yaml >wrong.yaml
    if "$bin/fieldpost" check --config wrong.yaml 2>wrong.log; then exit 1; fi
    grep -q 'did you mean "renke-weather"' wrong.log
done

literal fieldpost.yaml.5 extends >own.yaml
sed 's|profile: renke-weather|profile: ./own.yaml|' readme.yaml >with-own.yaml
grep -q own.yaml with-own.yaml
"$bin/fieldpost" check --config with-own.yaml

# Paths count from the folder of the call, those of profiles from the file's own, as the manual says.
mkdir here nothing
cp device.key city-ca.pem city-sign.pub here
(cd here && "$bin/fieldpost" check --config ../with-own.yaml)
if (cd nothing && "$bin/fieldpost" check --config ../with-own.yaml) 2>nothing.log; then exit 1; fi
grep -q 'city-ca.pem cannot be read' nothing.log

"$bin/fieldpost" check --config readme.yaml --plan >plan
series=$(grep -oE 'fieldpost (correct|maintain) [a-z0-9-]+/[a-z0-9_]+' "$root/README.md" | sed 's/.* //' | sort -u)
[ "$(wc -w <<<"$series")" -ge 2 ]
for s in $series; do
    awk -v device="${s%/*}:" -v point="${s#*/}" '/^  [^ ]/ { on = $1 == device } on { for (i = 1; i <= NF; i++)
        is = is || $i == point } END { exit !is }' plan || { echo "README: no series $s in its configuration" && exit 1; }
done

literal fieldpost.yaml.5 points 2 >bin.yaml
cat >sent.yaml <<'END'
gateway: {id: tra-cau-01}
store: {path: sent.db}
seal: {key: device.key}
END
awk '/^  bins: / { print "buses:" } /^  bin-17: / { print "devices:" }
    /^  bins?(-17)?: / { on = 1 } /^\.Ed/ { on = 0 } on' "$root/gateway/doc/man/fieldpost.yaml.5" >>sent.yaml
grep -q bin-17 sent.yaml
"$bin/fieldpost" check --config sent.yaml

literal fieldpost-city.1 listen | sed "s|/var/lib/fieldpost/||" >city.yaml
[ -s city.yaml ]
"$bin/fieldpost-city" enroll --config city.yaml --id tra-cau-01 --key city-sign.pub
"$bin/fieldpost-city" dump --config city.yaml >dump.csv

# The indicators of a site's own that the manual shows.
mkdir -p own/norm
for n in 1 2 3; do
    literal fieldpost.yaml.5 id $n >own/one
    id=$(sed -n 's/^id: //p' own/one)
    [ -n "$id" ]
    if grep -q '^limits:' own/one; then mv own/one "own/norm/$id.yaml"; else mv own/one "own/$id.yaml"; fi
done
[ "$(ls own own/norm | grep -c yaml)" = 3 ]
{ cat sent.yaml && echo 'indicator: {folder: own, params: {noi-over-day: {limit: 55}}}'; } >indicator.yaml
"$bin/fieldpost" check --config indicator.yaml
"$bin/fieldpost" indicators --config indicator.yaml noi-over-day >told
grep -q 'param limit: 55' told
sed -i 's/quantity: ammonium/quantity: amonium/' own/sea-ammonium-over.yaml
if "$bin/fieldpost" check --config indicator.yaml 2>wrong.log; then exit 1; fi
grep -q 'own/sea-ammonium-over.yaml:10:24: unknown quantity "amonium"; did you mean "ammonium"?' wrong.log

# What the manual says of roles: a modem in a cluster, an energy meter of the grid.
sed 's/modem: {/modem: {role: industrial-cluster, /' manual.yaml >roles.yaml
"$bin/fieldpost" indicators --config roles.yaml >told
for id in con-5g-cluster con-5g-priority ene-grid-import; do
    grep -q "computed as $id\$" told || { echo "$id is not computed" && exit 1; }
done
grep -A6 '^ene-solar: ' told | grep -q 'not computed: no series fits pv'

# Why not: no series, or no place for what goes by places.
grep -q 'computed as air-pm25-mean.air-1$' told
grep -A5 '^sea-ph: ' told | grep -q 'not computed: no series fits x'
sed '/^    place: /d' manual.yaml >unplaced.yaml
"$bin/fieldpost" indicators --config unplaced.yaml air-pm25-mean >told
grep -q 'not computed: no place has them all: give their devices a place' told

# Which devices feed nothing, and for want of what: told by check and by the whole list, and refused by none.
# Those of README and manual all feed something.
for f in readme manual; do
    "$bin/fieldpost" check --config $f.yaml 2>told
    if grep -q 'warning: ' told; then cat told && exit 1; fi
    "$bin/fieldpost" indicators --config $f.yaml >told
    grep -q 'computed as air-aqi-hour.air-1$' told
done
sed -i 's/, role: grid//' unplaced.yaml
"$bin/fieldpost" check --config unplaced.yaml 2>told
"$bin/fieldpost" indicators --config unplaced.yaml 2>listed >list
diff <(grep 'warning: ' told) listed
line=$(grep -n '^  air-1:' unplaced.yaml)
why='so that no indicator is computed from'
grep -q "^unplaced.yaml:${line%%:*}: warning: air-1: it has no .place., $why pm25, pm10; with it: air-aqi-day, " told
grep -q ": warning: meter-1: it has no .role. (.*grid.*), $why .*active_power.* more; with it: ene-" told
[ "$(wc -l <listed)" = 2 ]
sed '/^indicator:/d' unplaced.yaml >without.yaml
"$bin/fieldpost" check --config without.yaml 2>told
if grep -q 'warning: ' told; then exit 1; fi
