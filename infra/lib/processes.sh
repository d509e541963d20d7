# shellcheck shell=bash
# Programs that a script starts beside itself, and their end. Needs say.sh and postgres.sh (wait_gone).
#
# Descriptor 9 is the lock on the data directory and 8 the lab's standard input: no child may keep them, or they outlive the script.

target_dir() { realpath -m "${CARGO_TARGET_DIR:-$ROOT/target}"; }

# start_beside LOG COMMAND…: starts it in its own session, so that Ctrl-C reaches the script alone; it gets SIGTERM when the script is
# killed. Sets STARTED to its process id.
start_beside() {
  local log=$1
  shift
  setsid setpriv --pdeathsig TERM -- "$@" >>"$log" 2>&1 </dev/null 8>&- 9>&- &
  STARTED=$!
}

# stop_process PID SECONDS NAME: asks, waits, forces.
stop_process() {
  [[ -n $1 ]] || return 0
  kill -TERM "$1" 2>/dev/null || return 0
  wait_gone "$1" "$2" && return 0
  note "$3 does not end by itself; killing it"
  kill -KILL "$1" 2>/dev/null || return 0
  wait_gone "$1" 5 || note "$3 (process $1) could not be killed"
}

# end_leftover PIDFILE NAME: ends what a killed start left running, when the process of that number really is the program NAME.
end_leftover() {
  local pid
  [[ -r $1 ]] || return 0
  pid=$(<"$1")
  if [[ $pid == [1-9]* && $(readlink "/proc/$pid/exe" 2>/dev/null) == */"$2"* ]]; then
    note "ending the $2 that an earlier start left behind"
    stop_process "$pid" 20 "$2"
  fi
  rm -f "$1"
}

# port_taken HOST:PORT: whether somebody listens there.
port_taken() {
  local host=${1%:*} port=${1##*:}
  host=${host#[} host=${host%]}
  case $host in
    0.0.0.0 | '') host=127.0.0.1 ;;
    ::) host=::1 ;;
  esac
  (exec 3<>"/dev/tcp/$host/$port") 2>/dev/null
}

# wait_ready URL SECONDS PID: until it answers 2xx; false when the process ended or the time is over.
wait_ready() {
  local tries
  for ((tries = 0; tries < $2 * 5; tries++)); do
    curl -fsS -o /dev/null --noproxy '*' --max-time 5 "$1" 2>/dev/null && return 0
    kill -0 "$3" 2>/dev/null || return 1
    sleep 0.2
  done
  return 1
}

# run_bounded SECONDS SPOOL COMMAND…: runs it in a session of its own with its output shown and kept in SPOOL. A signal to the script or
# the end of the time ends it with all it started, at once.
run_bounded() {
  local seconds=$1 spool=$2 out tee status
  shift 2
  exec {out}> >(exec tee "$spool" >&2 8>&- 9>&-)
  tee=$!
  setsid timeout --foreground -k 10 "$seconds" "$@" >&"$out" 2>&1 </dev/null 8>&- 9>&- &
  RUNNING=$!
  exec {out}>&-
  wait "$RUNNING" && status=0 || status=$?
  stop_running
  # So that the last line is written before the next is.
  wait_gone "$tee" 5 || kill "$tee" 2>/dev/null || true
  ((status != 124 && status != 137)) || note "stopped after $seconds seconds: $*"
  return "$status"
}

# Ends what run_bounded runs, and whatever its command left behind in its session.
stop_running() {
  [[ -n ${RUNNING:-} ]] || return 0
  local group=$RUNNING
  RUNNING=
  kill -TERM -- "-$group" 2>/dev/null || return 0
  wait_group_gone "$group" 10 || kill -KILL -- "-$group" 2>/dev/null || true
}

wait_group_gone() {
  local tries
  for ((tries = 0; tries < $2 * 20; tries++)); do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.05
  done
  return 1
}
