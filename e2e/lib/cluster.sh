#!/usr/bin/env bash
# A PostgreSQL of a test's own, to be restarted under load; cluster.mjs speaks with it. Prints its URL once it answers, then obeys lines:
# "restart" (a quick stop and start) and "crash" (as when the power goes: it recovers from its log). Ends when standard input closes.
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
for part in say postgres processes test_cluster; do
  # shellcheck source=/dev/null
  . "$ROOT/infra/lib/$part.sh"
done
trap test_cluster_stop EXIT
trap 'exit 130' INT TERM

# As safe as in production, or a crash would have nothing to recover.
test_cluster_start -c fsync=on -c synchronous_commit=on -c full_page_writes=on
echo "$WAYPOST_TEST_DATABASE_URL"
while read -r order; do
  case $order in
    restart) pg_stop ;;
    crash)
      kill -s QUIT "$PG_PID"
      wait_gone "$PG_PID" 15 || die "PostgreSQL does not stop on SIGQUIT."
      ;;
    *) die "cluster.sh does not know $order" "It knows restart and crash." ;;
  esac
  pg_spawn
  echo up
done
