# shellcheck shell=bash
# What the scripts say: steps with their durations, notes and plain last words. Sourced, never run.

say() { printf '%s\n' "$@" >&2; }
note() { printf '   %s\n' "$*" >&2; }
die() {
  printf '\nwaypost: %s\n' "$1" >&2
  shift
  (($# == 0)) || printf '         %s\n' "$@" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Milliseconds since the epoch, without a process.
now_ms() {
  local t=${EPOCHREALTIME//[.,]/}
  printf '%s' "${t%???}"
}

# lasted FROM_MS: the time since then, for people.
lasted() {
  local ms=$(($(now_ms) - $1))
  if ((ms < 60000)); then
    printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
  else
    printf '%d min %d s' $((ms / 60000)) $((ms % 60000 / 1000))
  fi
}

# step TITLE COMMAND…: runs the command, says what it does and how long it took. Call it plainly, not in a condition: `set -e` must
# reach into the command, and a failure ends the script with the step's name as its last words.
step() {
  local title=$1 began status
  shift
  began=$(now_ms)
  say "── $title"
  STEP=$title
  "$@"
  status=$?
  STEP=
  say "   done in $(lasted "$began")"
  return "$status"
}

# say_failed_step STATUS: for the EXIT trap, names the step that failed; a person who pressed Ctrl-C knows.
say_failed_step() {
  [[ -z ${STEP:-} || $1 == 130 || $1 == 143 ]] || say "" "waypost: failed while: $STEP"
}

# Whether a person can be asked: a terminal is there and nobody said not to.
may_ask() { [[ ${YES:-} != 1 && -z ${CI:-} && -t 0 && -t 2 ]]; }

# confirm QUESTION: asks a person; says yes by itself where nobody can be asked.
confirm() {
  local answer
  may_ask || return 0
  printf '%s [Y/n] ' "$1" >&2
  read -r answer || return 1
  [[ -z $answer || $answer == [yYjJ]* ]]
}
