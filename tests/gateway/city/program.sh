#!/bin/sh
# The program fieldpost-city as its user meets it: exit codes, the line that says it listens, stop.
# usage: program.sh PATH-OF-fieldpost-city
set -eu
city=$1
dir=$(mktemp -d)
pid=
trap 'test -z "$pid" || kill -KILL "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir"

fail() {
    echo "FAILED: $*" >&2
    exit 1
}
# expect CODE TEXT COMMAND...: its exit code, and a text in what it prints
expect() {
    code=$1 text=$2
    shift 2
    got=0
    "$@" >out 2>&1 || got=$?
    test "$got" = "$code" || fail "$* gave $got, not $code: $(cat out)"
    grep -qF -e "$text" out || fail "$* does not say \"$text\": $(cat out)"
}

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test \
    -addext subjectAltName=IP:127.0.0.1 -keyout tls.key -out cert.pem 2>/dev/null
for k in sign dev; do
    openssl ecparam -name prime256v1 -genkey -noout -out $k.key 2>/dev/null
    chmod 600 $k.key
done
openssl ec -in dev.key -pubout -out dev.pub 2>/dev/null
cat >city.yaml <<EOF
listen: "127.0.0.1:0"
cert: cert.pem
key: tls.key
sign_key: sign.key
db: city.db
EOF
sed 's/^db:.*/db: postgresql:\/\/city@host\/fieldpost/' city.yaml >pg.yaml
sed 's/^db/dd/' city.yaml >typo.yaml

expect 0 "fieldpost-city serve" "$city" --help
expect 2 "usage" "$city"
expect 2 "usage" "$city" sing
expect 2 "usage" "$city" serve
expect 2 "no-such-file.yaml" "$city" serve --config no-such-file.yaml
expect 2 "did you mean \"db\"" "$city" serve --config typo.yaml
expect 2 "no PostgreSQL" "$city" serve --config pg.yaml
expect 1 "enroll" "$city" dump --config city.yaml
expect 2 "needs --id and --key" "$city" enroll --config city.yaml
expect 1 "an id is" "$city" enroll --config city.yaml --id ../x --key dev.pub
expect 0 "enrolled gw-1" "$city" enroll --config city.yaml --id gw-1 --key dev.pub
expect 0 "enrolled gw-1" "$city" enroll --config city.yaml --id gw-1 --key dev.pub
expect 2 "csv is what there is" "$city" dump --config city.yaml --format xml
expect 0 "gateway,series,ts_ms,value,quality,chain,seq" "$city" dump --config city.yaml --format csv
expect 0 "gateway,series,from_ms,to_ms,period_ms,due" "$city" report --config city.yaml
expect 0 "[]" "$city" report --config city.yaml --gateway gw-1 --by day --format json
expect 1 "gw-9: this gateway is not enrolled" "$city" report --config city.yaml --gateway gw-9
expect 2 "hour, day or total" "$city" report --config city.yaml --by week
expect 2 "csv or json" "$city" report --config city.yaml --format xml
expect 2 "2026-11-22" "$city" report --config city.yaml --from yesterday
expect 0 "gateway,series,at_ms,reason" "$city" retired --config city.yaml
expect 1 "gw-9: this gateway is not enrolled" "$city" retired --config city.yaml --gateway gw-9
expect 0 "gw-1: silence since ever" "$city" alarms --config city.yaml
expect 0 '"alarm":"silence"' "$city" alarms --config city.yaml --gateway gw-1 --json
expect 1 "gw-9: this gateway is not enrolled" "$city" alarms --config city.yaml --gateway gw-9
expect 1 "dev.pub" "$city" verify --config city.yaml dev.pub
chmod 644 sign.key
expect 1 "chmod" "$city" serve --config city.yaml
chmod 600 sign.key

mkfifo log
"$city" serve --config city.yaml 2>log &
pid=$!
exec 3<log
read -r line <&3
case $line in
*"listening on https://127.0.0.1:"[1-9]*) ;;
*) fail "the first line is \"$line\"" ;;
esac
# beside the running city
expect 0 "enrolled gw-2" "$city" enroll --config city.yaml --id gw-2 --key dev.pub
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
pid=
test "$code" = 0 || fail "serve gave $code after SIGTERM"
read -r line <&3
case $line in
*stopped*) ;;
*) fail "the last line is \"$line\"" ;;
esac
