# shellcheck shell=bash
# A PostgreSQL cluster for tests: fast, forgetful, gone afterwards. Needs say.sh, postgres.sh and processes.sh (target_dir).

# test_cluster_start [OPTION…]: starts it and exports WAYPOST_TEST_DATABASE_URL, the URL of its superuser.
test_cluster_start() {
  local base
  base=$(target_dir)/test-pg
  test_cluster_sweep "$base"
  pg_start "$(pg_place "$base-$$")" -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300 \
    -c shared_buffers=256MB -c max_wal_size=2GB -c max_locks_per_transaction=256 "$@"
  WAYPOST_TEST_DATABASE_URL=$(pg_url postgres postgres)
  PATH=$PG_BIN:$PATH
  export WAYPOST_TEST_DATABASE_URL PATH
}

test_cluster_stop() {
  [[ -n ${PG_PID:-} ]] || return 0
  pg_stop
  test_cluster_remove "$PG_PLACE"
}

test_cluster_remove() {
  [[ $1 == *test-pg-* || $1 == /var/lib/waypost/* ]] || die "refusing to remove $1"
  rm -rf "$1" "$1.log"
}

# Removes what killed runs left behind: the number in the name is their process.
test_cluster_sweep() {
  local left
  for left in "$1"-*; do
    [[ -d $left && ! -d /proc/${left##*-} ]] || continue
    test_cluster_remove "$left"
  done
}

# with_database URL NAME: the same server, another database.
with_database() {
  local url=$1 query=''
  [[ $url != *\?* ]] || query="?${url#*\?}"
  url=${url%%\?*}
  printf '%s/%s%s' "${url%/*}" "$2" "$query"
}
