# shellcheck shell=bash
#
# A chroot of Debian unstable with a Rust compiler and the sources of its standard library, from
# which `-Zbuild-std` makes that library for systems that this machine is not. Sourced by ci/windows
# and ci/macos-check. Made once, below $root, from the Debian mirror that this machine's apt uses:
# 2.4 GB, a few minutes, root.

readonly chroot_packages=rustc,cargo,rust-src,gcc-mingw-w64-x86-64,ca-certificates
# Debian 12's own Wine is too old for Rust programs (it lacks bcryptprimitives.dll).
readonly later='libc6-dev gcc make wine wine64 lld python3-venv python3-pip'

# shellcheck source=ci/lib.bash
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.bash"

# Takes `--root DIR` from the arguments and sets $root, $chroot and $source_dir.
choose_root() {
    source_dir=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
    root=$source_dir/target/sid
    [[ ${1:-} == --root ]] && root=$2
    mkdir -p -- "$root"
    root=$(cd -- "$root" && pwd -P)
    chroot=$root/sid
    [[ $EUID -eq 0 ]] || die "a chroot needs root"
    [[ $(uname -m) == x86_64 ]] || die "this is not an x86_64 machine"
}

make_chroot() {
    [[ -e $chroot/.ready ]] && return
    if ! command -v debootstrap >/dev/null; then
        say "installing debootstrap"
        apt-get -qq update && apt-get -qq install -y debootstrap >/dev/null
    fi
    say "making a chroot of Debian unstable (some minutes)"
    rm -rf -- "$chroot"
    # The second stage may fail for packages that are being replaced; apt repairs that below.
    debootstrap --variant=minbase --include="$chroot_packages" sid "$chroot" "$(apt_mirror)" \
        >"$root/debootstrap.log" 2>&1 || say "debootstrap ended early; apt goes on"
    [[ -x $chroot/usr/bin/apt-get ]] || die "debootstrap failed: $root/debootstrap.log"
    {
        in_chroot apt-get -o Acquire::Check-Valid-Until=false update
        in_chroot apt-get -y --fix-broken install
        # shellcheck disable=SC2086 # a list of words
        in_chroot apt-get -y install --no-install-recommends ${chroot_packages//,/ } $later
    } >"$root/apt.log" 2>&1 || die "apt failed: $root/apt.log"
    touch "$chroot/.ready"
}

# NAME=VALUE words for the environment in the chroot.
settings=()

mounted=()
cleanup() {
    local index
    for ((index = ${#mounted[@]} - 1; index >= 0; index--)); do
        umount -l -- "${mounted[index]}" || true
    done
}
trap cleanup EXIT

bind() {
    mkdir -p -- "$2"
    mount --bind "$1" "$2"
    mounted+=("$2")
}

prepare() {
    mkdir -p "$chroot"/{proc,dev,src,build,root/.cargo/registry}
    mount -t proc proc "$chroot/proc" && mounted+=("$chroot/proc")
    bind /dev "$chroot/dev"
    bind "$source_dir" "$chroot/src"
    # Use what this machine has already downloaded.
    bind "${CARGO_HOME:-$HOME/.cargo}/registry" "$chroot/root/.cargo/registry"
    for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt; do
        mkdir -p "$chroot$(dirname "$file")"
        cp -L "$file" "$chroot$file" 2>/dev/null || true
    done
}

in_chroot() {
    env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
        RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=/build CARGO_INCREMENTAL=0 \
        "${settings[@]}" chroot "$chroot" "$@"
}
