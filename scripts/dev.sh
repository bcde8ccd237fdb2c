#!/usr/bin/env bash
# One door to everything a developer does here. Needs cargo, rustc, gcc, curl; `test` also python3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DEV=.dev
readonly ENV_FILE=$DEV/env PID_FILE=$DEV/cmg.pid PORT_FILE=$DEV/port LOG_FILE=$DEV/cmg.log DATA=$DEV/data
readonly START_SECONDS=60 STOP_SECONDS=45

usage() {
  cat <<'TEXT'
usage: ./scripts/dev.sh <command>

  start                build a release, start it in the background, print how to talk to it
  stop                 stop it and wait until it has written everything
  logs [-f]            show its log; -f follows
  test [--fast]        everything a change has to pass; --fast leaves out documentation, schemathesis and clients
  bench [which …]      cmg bench: recall and ingest, or the one that is named, with its options
  doctor               is everything here that is needed, and does the server answer
  clean                stop, and remove what was built; keys and data stay
  reset-db [--yes]     stop, and remove the data of this folder's server

The server's keys, data, log and port are in .dev/. Environment variables (docs/configuration.md) are passed on.
TEXT
}

say() { printf '%s\n' "$*"; }
fail() { printf 'dev.sh: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Where cargo puts what it builds.
target_dir() { printf '%s' "${CARGO_TARGET_DIR:-target}"; }

# --- the server -------------------------------------------------------------------------------------------------------

random_text() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

# Keys of this folder's server: made once, kept as long as its data.
ensure_env() {
  mkdir -p "$DEV"
  if [[ ! -s $ENV_FILE ]]; then
    local draft
    draft=$(umask 077 && mktemp "$DEV/env.XXXXXX")
    cat >"$draft" <<TEXT
SECRET_KEY=$(random_text)
ADMIN_TOKEN=$(random_text)
ADMIN_PASSWORD=$(random_text)
BOOTSTRAP_API_KEY=cmg_$(random_text)
TEXT
    mv "$draft" "$ENV_FILE"
    say "Made keys for this folder's server: $ENV_FILE"
  fi
  chmod 600 "$ENV_FILE"
}

# The value of one key in .dev/env.
env_value() { sed -n "s/^$1=//p" "$ENV_FILE"; }

# Whether a process runs; one that ended and that nobody has fetched yet does not.
alive() { kill -0 "$1" 2>/dev/null && [[ $(ps -o stat= -p "$1" 2>/dev/null || echo R) != Z* ]]; }

# The process id of this folder's server, if it runs.
running_pid() {
  [[ -s $PID_FILE ]] || return 1
  local pid
  pid=$(<"$PID_FILE")
  [[ $pid =~ ^[0-9]+$ ]] && alive "$pid" || return 1
  # A number may have been given to another process since.
  [[ $(ps -o comm= -p "$pid" 2>/dev/null || echo cmg) == cmg* ]] || return 1
  printf '%s' "$pid"
}

base_url() { printf 'http://127.0.0.1:%s' "$(<"$PORT_FILE")"; }

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# The port that was asked for, or the first free one from 8080 on.
pick_port() {
  if [[ -n ${SERVER_PORT:-} ]]; then
    printf '%s' "$SERVER_PORT"
    return
  fi
  local port
  for port in $(seq 8080 8179); do
    port_is_taken "$port" || { printf '%s' "$port"; return; }
  done
  printf '0'
}

build_release() {
  say "Building the release (a first build takes some minutes) …"
  cargo build --release --locked
}

launch() {
  local bin=$1 port=$2
  rm -f "$PORT_FILE"
  (
    set -a
    # shellcheck source=/dev/null
    . "$ENV_FILE"
    set +a
    export SERVER_PORT=$port DATABASE_URL=${DATABASE_URL:-sled:$DATA} CMG_PORT_FILE=$PORT_FILE
    nohup "$bin" serve >>"$LOG_FILE" 2>&1 </dev/null &
    echo $! >"$PID_FILE"
  )
}

wait_until_ready() {
  local second
  for ((second = 0; second < START_SECONDS * 5; second++)); do
    if ! alive "$(<"$PID_FILE")"; then
      tail -n 20 "$LOG_FILE" >&2
      rm -f "$PID_FILE"
      fail "the server ended before it was ready; its last lines are above, all of them in $LOG_FILE"
    fi
    if [[ -s $PORT_FILE ]] && curl -fsS -m 2 -o /dev/null "$(base_url)/readyz" 2>/dev/null; then
      return
    fi
    sleep 0.2
  done
  tail -n 20 "$LOG_FILE" >&2
  fail "the server was not ready within $START_SECONDS seconds; see $LOG_FILE (it still runs: ./scripts/dev.sh stop)"
}

# How to talk to the server, with lines that work as they stand.
introduce() {
  local url key
  url=$(base_url)
  key=$(env_value BOOTSTRAP_API_KEY)
  cat <<TEXT

Context Memory Gateway answers at $url (process $(running_pid), log: ./scripts/dev.sh logs)

  API key     $key
  API docs    $url/docs
  Metrics     $url/metrics
  Admin API   $url/admin/api/keys   (Authorization: Bearer <ADMIN_TOKEN in $ENV_FILE>)

Any OpenAI client: base URL $url/v1 and this key (set OPENROUTER_API_KEY before the start; docs/gateway.md).

Remember something, then ask for it:

curl -s $url/v1/ingest -H 'Authorization: Bearer $key' -H 'Content-Type: application/json' -d '{"thread_id":"hello","materials":{"chat":"User: Which database do we take?\nAssistant: We decided to use Postgres, because the team knows it."}}'

curl -s $url/v1/recall -H 'Authorization: Bearer $key' -H 'Content-Type: application/json' -d '{"thread_id":"hello","purpose":"Which database was chosen, and why?"}'

TEXT
}

cmd_start() {
  have cargo || fail "cargo is missing: install Rust from https://rustup.rs"
  have curl || fail "curl is missing: install it with your package manager"
  if running_pid >/dev/null; then
    say "The server runs already."
    introduce
    return
  fi
  build_release
  ensure_env
  launch "$(target_dir)/release/cmg" "$(pick_port)"
  wait_until_ready
  introduce
}

cmd_stop() {
  local pid second
  if ! pid=$(running_pid); then
    rm -f "$PID_FILE" "$PORT_FILE"
    say "The server does not run."
    return
  fi
  kill -TERM "$pid" 2>/dev/null || true
  for ((second = 0; second < STOP_SECONDS * 5; second++)); do
    if ! alive "$pid"; then
      rm -f "$PID_FILE" "$PORT_FILE"
      say "Stopped."
      return
    fi
    sleep 0.2
  done
  fail "process $pid did not stop within $STOP_SECONDS seconds; see $LOG_FILE (kill -9 $pid loses nothing that was acknowledged)"
}

cmd_logs() {
  [[ -e $LOG_FILE ]] || fail "there is no log yet: ./scripts/dev.sh start"
  case ${1:-} in
    -f | --follow) tail -n 50 -f "$LOG_FILE" ;;
    '') tail -n 200 "$LOG_FILE" ;;
    *) fail "logs takes -f or nothing" ;;
  esac
}

cmd_clean() {
  cmd_stop
  cargo clean
  rm -rf "$DEV/venv" "$DEV/test" "$LOG_FILE"
  say "Removed what was built. Keys and data are still in $DEV (./scripts/dev.sh reset-db removes the data)."
}

cmd_reset_db() {
  case ${1:-} in
    --yes) ;;
    '')
      local answer=''
      read -r -p "Remove everything that was remembered in $DATA? Type yes: " answer || true
      [[ $answer == yes ]] || fail "nothing was removed"
      ;;
    *) fail "reset-db takes --yes or nothing" ;;
  esac
  cmd_stop
  rm -rf "$DATA"
  say "Removed $DATA. The keys in $ENV_FILE stay."
}

cmd_bench() {
  build_release
  local bin
  bin=$(target_dir)/release/cmg
  if (($# > 0)); then
    "$bin" bench "$@"
    return
  fi
  "$bin" bench recall
  "$bin" bench ingest
}

# --- doctor -----------------------------------------------------------------------------------------------------------

cmd_doctor() {
  local wrong=0 tool
  check() { # check <good|bad|note> <text>
    printf '  %-5s %s\n' "$1" "$2"
    [[ $1 != bad ]] || wrong=$((wrong + 1))
  }
  say "Tools"
  for tool in cargo rustc cc curl; do
    if have "$tool"; then check good "$tool: $("$tool" --version 2>&1 | head -n 1)"; else check bad "$tool is missing"; fi
  done
  for tool in python3 strace cargo-nextest cargo-deny; do
    if have "$tool"; then check good "$tool"; else check note "$tool is missing: ./scripts/dev.sh test installs it or does without"; fi
  done
  say "Folder"
  local free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
  if ((free >= 8)); then check good "$free GiB free"; else check bad "$free GiB free; a build with tests takes about 8"; fi
  [[ ! -e $ENV_FILE || $(stat -c %a "$ENV_FILE" 2>/dev/null || stat -f %Lp "$ENV_FILE") == 600 ]] \
    || check bad "$ENV_FILE can be read by others: chmod 600 $ENV_FILE"
  say "Server"
  if running_pid >/dev/null && [[ -s $PORT_FILE ]]; then
    local bin
    bin=$(target_dir)/release/cmg
    if [[ -x $bin ]] && "$bin" doctor --url "$(base_url)"; then
      check good "answers at $(base_url)"
    else
      check bad "runs, but is not ready at $(base_url)/readyz; see $LOG_FILE"
    fi
  else
    check note "does not run: ./scripts/dev.sh start"
  fi
  ((wrong == 0)) || fail "$wrong thing(s) to put right"
  say "All is well."
}

# --- test -------------------------------------------------------------------------------------------------------------

STEPS=() # "<passed|failed|skipped> <seconds> <name>"

# step <name> <command …>: runs it, shows it, keeps its output and its outcome.
step() {
  local name=$1 begun=$SECONDS outcome=passed
  shift
  printf '\n=== %s\n' "$name"
  "$@" 2>&1 | tee "$DEV/test/$name.log" || outcome=failed
  STEPS+=("$outcome $((SECONDS - begun)) $name")
}

skip() { # skip <name> <why>
  printf '\n=== %s: skipped: %s\n' "$1" "$2"
  STEPS+=("skipped 0 $1 ($2)")
}

# Tests that watch system calls need strace.
ensure_strace() {
  have strace && return
  if [[ $(id -u) == 0 ]] && have apt-get; then
    say "Installing strace …"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq strace; } >"$DEV/test/apt.log" 2>&1 \
      || say "strace could not be installed, see $DEV/test/apt.log"
  else
    say "strace is missing: install it with your package manager, or the tests that need it fail"
  fi
}

ensure_nextest() {
  cargo nextest --version >/dev/null 2>&1 && return
  [[ $1 == fast ]] && return 1
  say "Installing cargo-nextest (some minutes, once) …"
  timeout 900 cargo install cargo-nextest --locked >"$DEV/test/nextest-install.log" 2>&1
}

run_tests() {
  if ensure_nextest "$1"; then
    cargo nextest run --workspace --locked --profile ci
  else
    say "cargo-nextest is not here: the plain runner does it"
    cargo test --workspace --locked --all-targets --no-fail-fast
  fi
}

check_dependencies() {
  cargo deny --locked check bans licenses sources || return 1
  if cargo deny --locked fetch db >/dev/null 2>&1; then
    cargo deny --locked check advisories
  else
    say "NOT CHECKED: advisories (the RustSec database cannot be reached from here)"
  fi
}

# Sums "<number> <word>" over the summaries that the runners print.
count() {
  local word=$1
  cat "$DEV"/test/tests.log "$DEV"/test/doc-tests.log 2>/dev/null | sed 's/\x1b\[[0-9;]*m//g' \
    | grep -E '^test result:|^ *Summary \[' | grep -oE "[0-9]+ $word" | awk '{ sum += $1 } END { print sum + 0 }'
}

summary() {
  local outcome seconds name passed=0 failed=0 skipped=0
  printf '\n=== summary\n'
  while read -r outcome seconds name; do
    printf '  %-8s %4ss  %s\n' "$outcome" "$seconds" "$name"
    case $outcome in
      passed) passed=$((passed + 1)) ;;
      failed) failed=$((failed + 1)) ;;
      *) skipped=$((skipped + 1)) ;;
    esac
  done < <(printf '%s\n' "${STEPS[@]}")
  printf '\nsteps: %d passed, %d failed, %d skipped in %d s\n' "$passed" "$failed" "$skipped" "$SECONDS"
  printf 'tests: %d passed, %d failed, %d skipped\n' "$(count passed)" "$(count 'failed|[0-9]+ timed out')" "$(count 'skipped|[0-9]+ ignored')"
  ((failed == 0))
}

cmd_test() {
  local speed=whole
  case ${1:-} in
    --fast) speed=fast ;;
    '') ;;
    *) fail "test takes --fast or nothing" ;;
  esac
  rm -rf "$DEV/test" && mkdir -p "$DEV/test"
  ensure_strace

  step format cargo fmt --all --check
  step lints cargo clippy --workspace --all-targets --locked -- -D warnings
  step tests run_tests "$speed"
  step doc-tests cargo test --doc --workspace --locked
  if [[ $speed == fast ]]; then
    skip documentation "--fast"
    skip schemathesis "--fast"
    skip clients "--fast"
  else
    step documentation env RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --locked
    # The binaries that the tests have built: building them by themselves would build half of the dependencies anew.
    local built
    built=$(target_dir)/debug
    step schemathesis env CMG_BIN="$built/cmg" STANDIN_BIN="$built/cmg-standin" ./tests/schemathesis.sh
    step clients env CMG_BIN="$built/cmg" STANDIN_BIN="$built/cmg-standin" ./tests/clients/run.sh
  fi
  if cargo deny --version >/dev/null 2>&1; then
    step dependencies check_dependencies
  else
    skip dependencies "cargo-deny is not here; licences and sources were checked by tests/tidy.rs, advisories were not"
  fi
  summary
}

# ----------------------------------------------------------------------------------------------------------------------

main() {
  local command=${1:-help}
  (($# == 0)) || shift
  case $command in
    start | stop | logs | test | bench | clean | doctor) "cmd_$command" "$@" ;;
    reset-db) cmd_reset_db "$@" ;;
    help | -h | --help) usage ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
}

main "$@"
