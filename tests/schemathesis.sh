#!/usr/bin/env bash
# Schemathesis against a real server: no 5xx, and no answer that /openapi.json does not describe.
#
# Starts the server on a free port and an empty folder, sends it generated requests (the same ones each time), and ends it.
# Two rounds: the routes of API keys with an API key, the admin API with the admin token. A stand-in is the upstream of the
# gateway's routes. CMG_BIN and STANDIN_BIN name other binaries.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
repo=$PWD

readonly VERSION=4.32.5 EXAMPLES=25 START_SECONDS=60 ROUND_SECONDS=480
readonly CHECKS=not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance
readonly API_KEY=cmg_schemathesis-schemathesis-schemathesis ADMIN_TOKEN=schemathesis-admin-token

say() { printf '%s\n' "$*"; }
fail() { printf 'schemathesis.sh: %s\n' "$*" >&2; exit 1; }

# The tool, at one version, in a folder of its own.
st=$repo/.dev/venv/bin/st
if [[ "$("$st" --version 2>/dev/null || true)" != *"version $VERSION" ]]; then
  command -v python3 >/dev/null || fail "python3 is missing"
  say "Installing schemathesis $VERSION …"
  python3 -m venv "$repo/.dev/venv"
  "$repo/.dev/venv/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$VERSION"
fi

bin=${CMG_BIN:-} standin=${STANDIN_BIN:-}
if [[ -z $bin || -z $standin ]]; then
  cargo build --locked --workspace --bins
  bin=${bin:-${CARGO_TARGET_DIR:-target}/debug/cmg} standin=${standin:-${CARGO_TARGET_DIR:-target}/debug/cmg-standin}
fi
bin=$(realpath "$bin") standin=$(realpath "$standin")

folder=$(mktemp -d)
pid='' standin_pid=''
# shellcheck disable=SC2329 # the trap calls it
finish() {
  local outcome=$?
  if [[ -n $pid ]]; then
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  fi
  [[ -z $standin_pid ]] || kill "$standin_pid" 2>/dev/null || true
  if ((outcome != 0)); then
    say "--- the server's last lines"
    tail -n 30 "$folder/log" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT

cd "$folder" # whatever the tools leave behind goes with it
"$standin" >upstream 2>&1 &
standin_pid=$!
for ((tick = 0; tick < START_SECONDS * 5; tick++)); do
  upstream=$(grep -o 'http://[^ ]*' upstream || true)
  if [[ -n $upstream ]]; then break; fi
  sleep 0.2
done
[[ -n $upstream ]] || fail "the stand-in did not say where it is"
env OPENROUTER_API_BASE="$upstream" OPENROUTER_API_KEY=schemathesis ENVIRONMENT=test SERVER_HOST=127.0.0.1 SERVER_PORT=0 DATABASE_URL="sled:$folder/data" RATE_LIMIT_REQUESTS=0 \
  BOOTSTRAP_API_KEY=$API_KEY ADMIN_TOKEN=$ADMIN_TOKEN CMG_PORT_FILE="$folder/port" "$bin" serve >"$folder/log" 2>&1 &
pid=$!

for ((tick = 0; ; tick++)); do
  kill -0 "$pid" 2>/dev/null || fail "the server ended before it was ready"
  if [[ -s port ]] && curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$(<port)/readyz" 2>/dev/null; then break; fi
  ((tick < START_SECONDS * 5)) || fail "the server was not ready within $START_SECONDS seconds"
  sleep 0.2
done
url=http://127.0.0.1:$(<port)
curl -fsS -m 10 -o openapi.json "$url/openapi.json"

# round <bearer> <options that choose the routes …>
round() {
  local bearer=$1
  shift
  SCHEMATHESIS_HOOKS=schemathesis_hooks PYTHONPATH=$repo/tests timeout "$ROUND_SECONDS" "$st" run "$url/openapi.json" --header "Authorization: Bearer $bearer" --checks "$CHECKS" \
    --phases examples,coverage,fuzzing --max-examples "$EXAMPLES" --generation-deterministic \
    --request-timeout 30 --suppress-health-check all --warnings off --no-color "$@"
}

outcome=0
say "Routes of an API key"
round "$API_KEY" --exclude-path-regex '^/admin' || outcome=1
if grep -q '"/admin/' openapi.json; then
  say "Routes of the administrator"
  round "$ADMIN_TOKEN" --include-path-regex '^/admin' || outcome=1
fi
kill -0 "$pid" 2>/dev/null || fail "the server did not survive it"
exit "$outcome"
