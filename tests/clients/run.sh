#!/usr/bin/env bash
# The official clients against a real server: Python's openai and anthropic, Node's openai.
#
# Starts a stand-in for OpenRouter and the server on free ports and in an empty folder, runs python_client.py and
# node_client.mjs, and ends both. One line for each promise; a broken one fails the run, and shows the server's last lines.
# CMG_BIN and STANDIN_BIN name other binaries than those that are built here. The clients' versions are in
# requirements.txt and package-lock.json; they are installed into .dev/venv-clients and .dev/clients-node.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
repo=$PWD here=$PWD/tests/clients

# The Node client wants this Node at least; where there is an older one, NODE is installed beside the client.
readonly LEAST_NODE=22 NODE=24.21.0
readonly START_SECONDS=60 ROUND_SECONDS=300
readonly API_KEY=cmg_clientsclientsclientsclientsclientsclients ADMIN_TOKEN=clients-admin-token-0123456789abcdef

say() { printf '%s\n' "$*"; }
fail() { printf 'clients/run.sh: %s\n' "$*" >&2; exit 1; }

# The clients read settings from these, and would be others by them; what they talk to is here.
unset "${!OPENAI_@}" "${!ANTHROPIC_@}"
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

venv=$repo/.dev/venv-clients
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
  command -v python3 >/dev/null || fail "python3 is missing"
  say "Installing the Python clients …"
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --requirement "$here/requirements.txt"
  "$venv/bin/pip" check --quiet --disable-pip-version-check
  cp "$here/requirements.txt" "$venv/requirements.txt"
fi

node_folder=$repo/.dev/clients-node
is_new_enough() { (($("$1" --print 'process.versions.node.split(".")[0]') >= LEAST_NODE)); }
if ! cmp -s "$here/package-lock.json" "$node_folder/installed"; then
  command -v npm >/dev/null || fail "npm is missing"
  say "Installing the Node client …"
  rm -rf "$node_folder"
  mkdir -p "$node_folder"
  cp "$here/package.json" "$here/package-lock.json" "$node_folder/"
  npm ci --prefix "$node_folder" --loglevel=error >/dev/null
  is_new_enough node || npm install --prefix "$node_folder" --no-save --loglevel=error "node@$NODE" >/dev/null
  cp "$here/package-lock.json" "$node_folder/installed"
fi
node=$node_folder/node_modules/.bin/node
[[ -x $node ]] || node=node
is_new_enough "$node" || fail "Node $LEAST_NODE or newer is needed: install it, or remove $node_folder and try again"

cmg=${CMG_BIN:-} standin=${STANDIN_BIN:-}
if [[ -z $cmg || -z $standin ]]; then
  cargo build --locked --workspace --bins
  cmg=${cmg:-${CARGO_TARGET_DIR:-target}/debug/cmg} standin=${standin:-${CARGO_TARGET_DIR:-target}/debug/cmg-standin}
fi
cmg=$(realpath "$cmg") standin=$(realpath "$standin")

folder=$(mktemp -d)
pids=()
# shellcheck disable=SC2329 # the trap calls it
finish() {
  local outcome=$?
  for pid in "${pids[@]}"; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if ((outcome != 0)); then
    say "--- the server's last lines"
    tail -n 30 "$folder/log" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT

# wait_for <what> <pid> <test …>: until the test is true, as long as the process lives, for START_SECONDS.
wait_for() {
  local what=$1 pid=$2
  shift 2
  for ((tick = 0; ; tick++)); do
    if "$@"; then return; fi
    kill -0 "$pid" 2>/dev/null || fail "$what ended before it was ready"
    ((tick < START_SECONDS * 10)) || fail "$what was not ready within $START_SECONDS seconds"
    sleep 0.1
  done
}
# shellcheck disable=SC2329 # wait_for calls it
is_ready() { [[ -s $folder/port ]] && curl -fsS -m 2 -o /dev/null "http://127.0.0.1:$(<"$folder/port")/readyz" 2>/dev/null; }

cd "$folder" # whatever is left behind goes with it
"$standin" >standin-url 2>standin-log &
pids+=($!)
wait_for "the stand-in" $! test -s standin-url
standin_url=$(<standin-url)

# Nothing of the developer's own settings: the checks are about these.
env -i PATH="$PATH" HOME="$folder" ENVIRONMENT=test SERVER_HOST=127.0.0.1 SERVER_PORT=0 CMG_PORT_FILE="$folder/port" \
  DATABASE_URL="sled:$folder/data" SECRET_KEY=clients-clients-clients-clients-clients-secret \
  OPENROUTER_API_BASE="$standin_url" OPENROUTER_API_KEY=sk-or-standin RATE_LIMIT_REQUESTS=0 \
  BOOTSTRAP_API_KEY=$API_KEY ADMIN_TOKEN=$ADMIN_TOKEN "$cmg" serve >log 2>&1 &
server=$!
pids+=("$server")
wait_for "the server" "$server" is_ready

port=$(<port)
export CMG_URL=http://127.0.0.1:$port CMG_API_KEY=$API_KEY CMG_ADMIN_TOKEN=$ADMIN_TOKEN
export STANDIN_URL=$standin_url CLIENTS_NODE=$node_folder PYTHONDONTWRITEBYTECODE=1
outcome=0
timeout "$ROUND_SECONDS" "$venv/bin/python" "$here/python_client.py" || outcome=1
timeout "$ROUND_SECONDS" "$node" "$here/node_client.mjs" || outcome=1
kill -0 "$server" 2>/dev/null || fail "the server did not survive it"
exit "$outcome"
