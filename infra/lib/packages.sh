# shellcheck shell=bash
# Packages of Debian and Ubuntu: what is missing, and how it gets there without starting services on the machine. Needs say.sh.

MISSING=()
POLICY=/usr/sbin/policy-rc.d

# Daemons live where a normal user's PATH does not look.
have_daemon() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" have "$1"; }

# need COMMAND PACKAGE…: notes the packages when the command is not there.
need() {
  local command=$1
  shift
  have_daemon "$command" || MISSING+=("$@")
}

# need_file GLOB PACKAGE…: the same for something that is no command.
need_file() {
  local glob=$1
  shift
  compgen -G "$glob" >/dev/null || MISSING+=("$@")
}

# As root, by sudo where we are not; never waits for a password where nobody can type one.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif [[ -t 0 ]]; then
    sudo "$@"
  else
    sudo -n "$@"
  fi
}

can_be_root() {
  ((EUID == 0)) || { have sudo && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; }
}

# Installs what `need` noted. One update, three tries, no service started, nothing removed.
install_missing() {
  ((${#MISSING[@]})) || return 0
  local packages
  mapfile -t packages < <(printf '%s\n' "${MISSING[@]}" | sort -u)
  have apt-get || die "these are missing: ${packages[*]}" \
    "They are named as Debian names them; this machine has no apt-get. Install them by its own package manager and start again."
  can_be_root || die "these packages are missing: ${packages[*]}" \
    "Neither root nor sudo is at hand. Ask somebody who has it to run:" "  apt-get install --no-install-recommends ${packages[*]}"
  say "Packages to install: ${packages[*]}"
  confirm "Install them with apt-get?" || die "nothing was installed." "By hand: apt-get install --no-install-recommends ${packages[*]}"

  hold_services
  [[ " ${packages[*]} " != *" postfix "* ]] ||
    printf 'postfix postfix/main_mailer_type select No configuration\n' | as_root debconf-set-selections
  local try ok=
  for try in 1 2 3; do
    # A foreign source that does not answer fails the update, yet the packages may be there.
    apt update -q || note "apt-get update failed; trying with what is known"
    if apt install -q -y --no-install-recommends --no-remove "${packages[@]}"; then
      ok=1
      break
    fi
    note "apt-get failed (try $try of 3)"
    sleep $((try * 3))
  done
  release_services "${packages[@]}"
  [[ -n $ok ]] || die "apt-get could not install: ${packages[*]}" "What it said is above."
}

# apt-get without questions; waits for another package manager instead of failing.
apt() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none \
    apt-get -o DPkg::Lock::Timeout=120 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null >&2
}

# Packages want to start what they bring. We start our own, privately, so the system's stay off.
hold_services() {
  [[ ! -e $POLICY ]] || as_root mv "$POLICY" "$POLICY.waypost"
  printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
  as_root chmod 755 "$POLICY"
  HELD=1
}

# release_services PACKAGE…: gives the machine its policy back; daemons that just came stay off after the next start too.
release_services() {
  [[ -n ${HELD:-} ]] || return 0
  HELD=
  as_root rm -f "$POLICY"
  [[ ! -e $POLICY.waypost ]] || as_root mv "$POLICY.waypost" "$POLICY"
  [[ -d /run/systemd/system ]] || return 0
  local package
  for package; do
    case $package in
      nsd | unbound | rbldnsd | postfix | postgresql | prometheus-blackbox-exporter)
        as_root systemctl disable --now "$package" >/dev/null 2>&1 || note "could not switch off the service $package"
        ;;
    esac
  done
}
