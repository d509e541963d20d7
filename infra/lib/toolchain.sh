# shellcheck shell=bash
# Rust: finding it, bringing it, and the target that the browser's part needs. Needs say.sh and ROOT.

# A fresh rustup is not on the PATH of the shell that called us.
use_cargo() {
  have cargo || [[ ! -x ${CARGO_HOME:-$HOME/.cargo}/bin/cargo ]] || PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
  export PATH
}

wanted_rust() { sed -n 's/^channel *= *"\(.*\)"/\1/p' "$ROOT/rust-toolchain.toml"; }

# rust_answers: the toolchain of this project is there with what `infra/test` calls.
rust_answers() {
  have cargo && (cd "$ROOT" && cargo -V && rustc -V && cargo fmt --version && cargo clippy -V) >/dev/null 2>&1
}

ensure_rust() {
  local wanted
  wanted=$(wanted_rust)
  use_cargo
  rust_answers && return 0
  if ! have rustup; then
    ! have cargo || note "cargo is here, but not rustup, which brings Rust $wanted"
    confirm "Install Rust $wanted by rustup (https://rustup.rs) for this user?" ||
      die "Rust $wanted is needed." "Install it from https://rustup.rs and start again."
    say "Installing rustup and Rust $wanted"
    local installer
    installer=$(mktemp)
    # The first is where the second gets it from.
    retry 3 curl --proto '=https' --tlsv1.2 -sSf --max-time 60 -o "$installer" https://static.rust-lang.org/rustup/rustup-init.sh ||
      curl --proto '=https' --tlsv1.2 -sSf --max-time 60 -o "$installer" https://sh.rustup.rs ||
      die "rustup could not be downloaded." "Install Rust $wanted from https://rustup.rs and start again."
    retry 3 sh "$installer" -y -q --profile minimal --default-toolchain "$wanted" --component rustfmt,clippy >&2 ||
      die "rustup could not install Rust $wanted." "What it said is above."
    rm -f "$installer"
    PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    export PATH
  fi
  rust_answers || retry 3 rustup toolchain install "$wanted" --profile minimal --component rustfmt,clippy >&2 ||
    die "Rust $wanted could not be installed." "By hand: rustup toolchain install $wanted --component rustfmt,clippy"
  rust_answers || die "cargo of Rust $wanted does not answer." "Try: cd $ROOT && cargo clippy -V"
}

# Debian's compiler for the browser, for machines where rustup can not download its target.
has_debian_wasm() {
  [[ -x /usr/bin/rustc && -x /usr/bin/cargo ]] && compgen -G '/usr/lib/llvm-*/bin/wasm-ld' >/dev/null && compgen -G '/usr/src/rustc-*/library' >/dev/null
}

has_rustup_wasm() { [[ -d $(cd "$ROOT" && rustc --print sysroot)/lib/rustlib/wasm32-unknown-unknown/lib ]]; }

# True when one of the two ways is there; tries the first before it gives up.
wasm_answers() {
  has_rustup_wasm || has_debian_wasm && return 0
  have rustup || return 1
  note "asking rustup for the target wasm32-unknown-unknown"
  (cd "$ROOT" && timeout 180 rustup target add wasm32-unknown-unknown) >&2 && has_rustup_wasm
}

# retry TIMES COMMAND…
retry() {
  local times=$1 try
  shift
  for ((try = 1; try <= times; try++)); do
    "$@" && return 0
    ((try == times)) || sleep $((try * 2))
  done
  return 1
}
