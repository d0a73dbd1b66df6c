#!/bin/sh
# The story of one month in containers, with the command line outside: a month of flights is published, one container
# is killed and one is restarted meanwhile, a model is trained and asked, and the books are compared.
#
#   infra/docker/smoke.sh             leaves the system running
#   infra/docker/smoke.sh --down      removes it afterwards, with its volumes
#
# Needed: an engine, docker compose or docker-compose, the image, jq, and the program (TIDEMILL, or target/debug).
set -eu
cd "$(dirname "$0")/../.."
program="${TIDEMILL:-target/debug/tidemill}"
until_day="${UNTIL:-2013-02-01}"
if [ -n "${COMPOSE:-}" ]; then compose="$COMPOSE"
elif docker compose version > /dev/null 2>&1; then compose="docker compose"
else compose="docker-compose"
fi

say() { printf '%s  %s\n' "$(date +%T)" "$*"; }
fail() { say "FAILED: $*"; exit 1; }
# Waits until a condition holds: within SECONDS COMMAND…
within() {
    limit=$(($(date +%s) + $1)); shift
    until "$@" > /dev/null 2>&1; do
        [ "$(date +%s)" -lt "$limit" ] || fail "not in time: $*"
        sleep 0.5
    done
}
id_of() { $compose ps -q "$1"; }
healthy() { [ "$(docker inspect -f '{{.State.Health.Status}}' "$(id_of "$1")")" = healthy ]; }
status() { "$program" status -o json 2> /dev/null; }
replay() { "$program" events replay infra/examples/flights/replay.yaml --until "$1" -o json | jq .rows; }
caught_up() { [ "$(status | jq '[.sources[].lag] | add')" = 0 ]; }
ready() { "$program" status --check > /dev/null 2>&1; }
logged() { [ "$(status | jq .predictions.logged)" = "$1" ]; }

say "starting with: $compose"
$compose up -d
for role in ingestion validation feature training evaluation serving monitoring console; do
    within 120 healthy "$role"
done
say "every role works"

rm -rf infra/docker/operator
docker cp "$($compose ps -a -q secrets)":/secrets/operator infra/docker/operator > /dev/null
set -a; . infra/docker/cli.env; set +a

say "publishing the first half of the month"
first=$(replay 2013-01-16)
say "killing ingestion, restarting monitoring, publishing the rest"
docker kill "$(id_of ingestion)" > /dev/null
$compose restart monitoring > /dev/null 2>&1 &
published=$((first + $(replay "$until_day")))
wait
$compose up -d ingestion > /dev/null 2>&1
within 120 healthy ingestion
within 120 healthy monitoring
within 180 caught_up
status | jq -c '.sources[] | {source, rows, lag, watermark}'
rows=$(status | jq '[.sources[].rows] | add')
[ "$rows" = "$published" ] || fail "$published events were published, $rows are in the tables"
say "$published events published, $rows in the tables: none lost, none doubled"

say "training"
"$program" train --as-of "$until_day" --wait
within 60 ready
for key in 26732 26733 26734 26735 26736; do
    "$program" predict --key "$key" --as-of 2013-01-31T20:00:00Z -o json | jq -c .
done
within 60 logged 5
say "five predictions asked, five logged"

if $compose logs 2>&1 | grep -E "(Publish|Subscription|Permissions) Violation"; then
    fail "a role was denied a subject that it needs"
fi
say "doctor from outside, and inside each role"
"$program" doctor
for role in ingestion validation feature training evaluation serving monitoring console; do
    $compose exec -T "$role" tidemill doctor || fail "doctor found something open in $role"
done
say "done"
if [ "${1:-}" = --down ]; then
    $compose down -v
    rm -rf infra/docker/operator
fi
