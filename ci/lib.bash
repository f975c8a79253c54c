# Shared by the scripts in ci/: what they need on a new machine, they install themselves.
# shellcheck shell=bash

# What cargo keeps for the next incremental build takes several GB, and nothing here is built twice.
export CARGO_INCREMENTAL=0

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
step() { printf '\n== %s (%s s so far, %s free)\n' "$*" "$SECONDS" "$(free_disk)" >&2; }
free_disk() { df --output=avail --human-readable --si . | tail -n 1 | tr -d ' '; }
die() {
    say "error: $*"
    exit 1
}

# Ends the script if the disk has less free space than this many GB. A full disk makes tests fail in
# many ways, none of which names it.
disk_need() {
    (($(df --output=avail --block-size=1000000000 . | tail -n 1) >= $1)) ||
        die "needs $1 GB of free disk space; this disk has $(free_disk)"
}

# Installs missing Debian packages. Usage: apt_need PACKAGE…
apt_need() {
    local package missing=()
    for package in "$@"; do
        # A package may be installed under another name (a newer gcc, a virtual package).
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" apt-get -qq update >&2
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get -qq install -y --no-install-recommends \
        "${missing[@]}" >&2
}

# The Debian mirror that this machine's apt uses, in either format of its sources.
apt_mirror() {
    local files=(/etc/apt/sources.list /etc/apt/sources.list.d/*)
    awk '
        /^URIs:/ { print $2 }
        /^deb / { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; break } }
    ' "${files[@]}" 2>/dev/null | grep -v security | head -n 1
}

# Makes a program that cargo can install available.
# Usage: cargo_need PROGRAM CRATE
cargo_need() {
    # The folder in which cargo installs; a new home's is not on the PATH.
    PATH=$PATH:${CARGO_INSTALL_ROOT:-${CARGO_HOME:-$HOME/.cargo}}/bin
    command -v "$1" >/dev/null || {
        say "installing $2 (takes some minutes, once)"
        cargo install --locked --quiet "$2" >&2
    }
}

# Builds Sysforge and the test kit's programs: sets `sysforge` to the path of the first and
# `testkit` to the folder of the others. As in all scripts, the whole workspace is selected, because cargo
# compiles the dependencies again for another selection of packages. SYSFORGE_TEST_BINARY names an existing
# Sysforge to use. Usage: build_programs dev|release
build_programs() {
    local folder=${1/dev/debug}
    testkit=${CARGO_TARGET_DIR:-$PWD/target}/$folder
    # shellcheck disable=SC2034 # for the script that sources this file
    sysforge=${SYSFORGE_TEST_BINARY:-$testkit/sysforge}
    cargo build --locked --quiet --profile "$1" --workspace --bins
}

# The folder for files that several scripts share.
cache_dir() {
    local dir=${SYSFORGE_CI_CACHE:-$PWD/target/ci}
    mkdir -p "$dir"
    printf '%s\n' "$dir"
}

# Prints the path of the local mirror of a real Julia, and creates it if necessary.
local_mirror() {
    local dir
    dir=${SYSFORGE_TEST_MIRROR:-$(cache_dir)/mirror}
    ci/julia-mirror "$dir"
}
