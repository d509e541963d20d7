# shellcheck shell=bash
# A private PostgreSQL: made, started, found again and stopped. Reached by a Unix socket only. Needs say.sh.
#
# PostgreSQL refuses to run as root; as root it runs as the user `postgres` that its package made.

# The directory of the newest server's binaries.
pg_bin() {
  local dir best=''
  while read -r dir; do
    [[ -x $dir/initdb && -x $dir/postgres ]] && best=$dir
  done < <(compgen -G '/usr/lib/postgresql/*/bin' | sort -V)
  if [[ -z $best ]] && have initdb && have postgres; then best=$(dirname "$(command -v initdb)"); fi
  [[ -n $best ]] && printf '%s' "$best"
}

# Runs a command as the user that owns the cluster.
as_pg() {
  if ((EUID == 0)); then
    (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$@")
  else
    (cd / && exec "$@")
  fi
}

# pg_place WANTED: prints where the cluster can live: WANTED, or a folder derived from it where the user `postgres` may not go there.
pg_place() {
  local wanted=$1 other
  mkdir -p "$wanted"
  if ((EUID != 0)); then
    chmod 700 "$wanted"
    printf '%s' "$wanted"
    return
  fi
  id postgres >/dev/null 2>&1 || die "PostgreSQL refuses to run as root and there is no user postgres." "Its package makes one; or run as a normal user."
  chown postgres:postgres "$wanted"
  chmod 700 "$wanted"
  if as_pg test -x "$wanted" -a -r "$wanted"; then
    printf '%s' "$wanted"
    return
  fi
  other=/var/lib/waypost/$(basename "$(dirname "$wanted")")-$(printf '%s' "$wanted" | sha256sum | cut -c1-12)
  rmdir "$wanted" 2>/dev/null || true
  install -d -m 755 /var/lib/waypost
  install -d -m 700 -o postgres -g postgres "$other"
  note "the user postgres may not enter $(dirname "$wanted"): the database lives in $other"
  printf '%s' "$other"
}

# pg_socket PLACE: prints the socket's directory: the cluster itself, or a short one where that path is too long for a socket.
pg_socket() {
  local place=$1 short
  if ((${#place} <= 85)); then
    printf '%s' "$place"
    return
  fi
  short=/tmp/waypost-pg-$EUID-$(printf '%s' "$place" | sha256sum | cut -c1-12)
  as_pg mkdir -p -m 700 "$short"
  [[ -O $short ]] || ((EUID == 0)) || die "$short belongs to somebody else."
  printf '%s' "$short"
}

# pg_url ROLE DATABASE: the URL by the socket of the cluster that is running.
pg_url() {
  local path=$PG_SOCKET encoded='' char index
  for ((index = 0; index < ${#path}; index++)); do
    char=${path:index:1}
    case $char in
      [A-Za-z0-9/._-]) encoded+=$char ;;
      *) encoded+=$(printf '%s' "$char" | od -An -v -tx1 | tr -d '\n' | tr ' ' '%') ;;
    esac
  done
  printf 'postgres://%s@localhost:5432/%s?host=%s' "$1" "$2" "$encoded"
}

# pg_sql DATABASE SQL: runs it as the superuser and prints bare values.
pg_sql() {
  PGCONNECT_TIMEOUT=5 "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -c "$2" "$(pg_url postgres "$1")"
}

# pg_start PLACE [OPTION…]: makes the cluster where there is none and starts it. Sets PG_PID, PG_PLACE, PG_SOCKET and PG_BIN.
# The server ends with us however we end: fast when we are killed.
pg_start() {
  PG_BIN=$(pg_bin) || die "no PostgreSQL server was found." "Install it: apt-get install postgresql"
  PG_PLACE=$1
  shift
  PG_SOCKET=$(pg_socket "$PG_PLACE")
  PG_OPTIONS=("$@")
  pg_end_stale
  if [[ ! -e $PG_PLACE/PG_VERSION ]]; then
    # What an interrupted initdb left is no cluster.
    find "$PG_PLACE" -mindepth 1 -delete
    as_pg "$PG_BIN/initdb" -D "$PG_PLACE" -U postgres --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=reject --no-sync >/dev/null ||
      die "initdb failed in $PG_PLACE."
  fi
  local made has
  made=$(<"$PG_PLACE/PG_VERSION")
  has=$("$PG_BIN/postgres" -V | grep -oE '[0-9]+' | head -1)
  if [[ $made != "$has" ]]; then
    PG_BIN=/usr/lib/postgresql/$made/bin
    [[ -x $PG_BIN/postgres ]] || die "the database in $PG_PLACE was made by PostgreSQL $made, and only $has is installed." \
      "Install postgresql-$made, or upgrade it with pg_upgrade, or move the folder away to begin anew."
  fi
  pg_spawn
}

# Starts the server of PG_PLACE and waits until it answers. Tries again, since what a killed server left in memory takes a moment to go.
pg_spawn() {
  local log=$PG_PLACE.log command try drop=()
  command=("$PG_BIN/postgres" -D "$PG_PLACE" -k "$PG_SOCKET" -p 5432 -c listen_addresses= -c unix_socket_permissions=0700 -c log_min_messages=warning "${PG_OPTIONS[@]}")
  ((EUID != 0)) || drop=(--reuid=postgres --regid=postgres --init-groups)
  for try in 1 2 3; do
    # Its own session: Ctrl-C reaches us alone, and we end it last. 9 is the lock of `infra/run`, which must not outlive us in a child.
    (cd / && exec setsid setpriv "${drop[@]}" --pdeathsig INT -- "${command[@]}") >>"$log" 2>&1 </dev/null 9>&- &
    PG_PID=$!
    pg_answers 60 && return 0
    pg_stop
    note "PostgreSQL did not start (try $try of 3)"
    sleep 1
  done
  tail -n 20 "$log" >&2
  die "PostgreSQL did not start in $PG_PLACE." "Its log is $log; the end of it is above."
}

# pg_answers SECONDS: waits until the server takes connections; false when it ended or the time is over.
pg_answers() {
  local tries
  for ((tries = 0; tries < $1 * 10; tries++)); do
    "$PG_BIN/pg_isready" -q -h "$PG_SOCKET" -p 5432 -U postgres -d postgres && return 0
    kill -0 "$PG_PID" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# A server that outlived a killed start holds the cluster: end it, if it really is one of this cluster.
pg_end_stale() {
  local pid
  [[ -r $PG_PLACE/postmaster.pid ]] || return 0
  pid=$(head -n 1 "$PG_PLACE/postmaster.pid")
  if [[ $pid == [1-9]* ]] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "-D $PG_PLACE "; then
    note "ending the PostgreSQL that an earlier start left behind"
    PG_PID=$pid pg_stop
    return 0
  fi
  # The number may belong to another process by now; then PostgreSQL would refuse to start because of the file.
  rm -f "$PG_PLACE/postmaster.pid"
}

# Stops the server: fast, then at once, then by force.
pg_stop() {
  [[ -n ${PG_PID:-} ]] || return 0
  local signal
  for signal in INT QUIT KILL; do
    kill -s "$signal" "$PG_PID" 2>/dev/null || break
    wait_gone "$PG_PID" 15 && break
    note "PostgreSQL does not stop on SIG$signal"
  done
  PG_PID=
}

# wait_gone PID SECONDS: true once the process is no more.
wait_gone() {
  local tries
  for ((tries = 0; tries < $2 * 20; tries++)); do
    # A zombie that is not ours to reap is gone as well.
    [[ -d /proc/$1 ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null || return 0
    sleep 0.05
  done
  return 1
}
