# shellcheck shell=bash
# The lab beside the product: started, read, ended. Needs say.sh, packages.sh (as_root), postgres.sh and processes.sh.

# lab_start BINARY DIR OPTION…: starts it and waits until it says that it is ready. Sets LAB_PID and LAB_READY (its JSON line).
# It needs root for the mail ports. It ends when its standard input does, so it can not outlive us.
lab_start() {
  local binary=$1 dir=$2 tries
  shift 2
  ((EUID == 0)) || can_be_root || die "the lab opens the mail ports, which needs root." "Start as root, or make sudo work here, or leave out --demo."
  rm -f "$dir/lab.in" "$dir/lab.out"
  mkfifo -m 600 "$dir/lab.in"
  as_root setsid "$binary" "$@" --stdin-guard <"$dir/lab.in" >"$dir/lab.out" 2>"$dir/lab.log" 9>&- &
  LAB_PID=$!
  exec 8>"$dir/lab.in"
  for ((tries = 0; tries < 600; tries++)); do
    LAB_READY=$(grep -m 1 '"ready"' "$dir/lab.out" 2>/dev/null || true)
    [[ -z $LAB_READY ]] || return 0
    kill -0 "$LAB_PID" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$dir/lab.log" >&2
  die "the lab did not start." "Its log is $dir/lab.log; the end of it is above."
}

# lab_environment: what points the product at the lab.
lab_environment() {
  local name value
  while IFS=$'\t' read -r name value; do
    unset "${name}_FILE"
    export "$name=$value"
  done < <(node -e '
    const ready = JSON.parse(process.argv[1]);
    const names = { WAYPOST_RESOLVER: "resolver", WAYPOST_EGRESS_ALLOW: "egress_allow", WAYPOST_CA_FILE: "ca_file", WAYPOST_SMTP_URL: "smtp_url" };
    for (const [name, key] of Object.entries(names)) console.log(`${name}\t${[ready[key]].flat().join(",")}`);
  ' "$LAB_READY")
}

lab_stop() {
  [[ -n ${LAB_PID:-} ]] || return 0
  exec 8>&-
  if ! wait_gone "$LAB_PID" 20; then
    note "the lab does not end by itself; killing it"
    as_root kill -KILL "$LAB_PID" 2>/dev/null || true
  fi
  LAB_PID=
}
