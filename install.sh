#!/bin/sh
#
# Installs Sysforge from a release: fetches the archive for this machine and SHA256SUMS, compares
# the digests, and puts the program into a folder. Nothing is kept that does not match.
#
# Usage: install.sh --from ADDRESS [--to DIR]
#
#   --from ADDRESS   where the release's files lie, for instance
#                    https://github.com/OWNER/REPO/releases/download/v0.1.0
#                    (or SYSFORGE_INSTALL_FROM)
#   --to DIR         where the program goes [default: ~/.local/bin]

set -eu

say() { printf 'install.sh: %s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

from=${SYSFORGE_INSTALL_FROM:-}
to=${HOME:-.}/.local/bin
while [ $# -gt 0 ]; do
    case $1 in
    --from) from=${2:?--from wants an address} && shift 2 ;;
    --to) to=${2:?--to wants a folder} && shift 2 ;;
    --help | -h)
        sed -n '3,/^$/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) die "unknown argument: $1 (see --help)" ;;
    esac
done
[ -n "$from" ] || die "say where from: --from https://github.com/OWNER/REPO/releases/download/TAG"

case $(uname -s) in
Linux) system=unknown-linux-gnu ;;
Darwin) system=apple-darwin ;;
*) die "no program is published for $(uname -s); on Windows use install.ps1" ;;
esac
case $(uname -m) in
x86_64 | amd64) target=x86_64-$system ;;
aarch64 | arm64) target=aarch64-$system ;;
*) die "no program is published for $(uname -m); build it: cargo install --path crates/cli" ;;
esac

# The protocols to which redirects may lead.
case $from in
http:*) encrypted=http,https ;;
*) encrypted=https ;;
esac

# Usage: fetch FILE: into the scratch folder, from an address or a folder.
fetch() {
    case $from in
    https://* | http://127.0.0.1[:/]* | http://localhost[:/]*)
        # A redirect from https must not lead to an address without encryption.
        if command -v curl >/dev/null; then
            curl --fail --location --silent --show-error --retry 5 --output "$scratch/$1" \
                --proto-redir "=$encrypted" "$from/$1"
        elif command -v wget >/dev/null; then
            if ! wget --quiet --server-response --tries=5 --output-document="$scratch/$1" "$from/$1" \
                2>"$scratch/log"; then
                cat "$scratch/log" >&2
                false
            elif [ "$encrypted" = https ] && grep -qi '^ *location: *http:' "$scratch/log"; then
                die "$from/$1 redirects to an address that is not encrypted"
            fi
        else
            die "neither curl nor wget is there"
        fi || die "could not fetch $from/$1"
        ;;
    http://*) die "$from is not encrypted; use https" ;;
    *) cp "$from/$1" "$scratch/$1" || die "could not copy $from/$1" ;;
    esac
}

digest() {
    if command -v sha256sum >/dev/null; then
        sha256sum "$1"
    elif command -v shasum >/dev/null; then
        shasum -a 256 "$1"
    else
        die "neither sha256sum nor shasum is there, so the download cannot be verified"
    fi | cut -d ' ' -f 1
}

scratch=$(mktemp -d) || die "no temporary folder can be created; set TMPDIR to one that can be written to"
# In the target folder: the temporary folder may not allow execution, and a rename can replace a
# running program, unlike a copy.
new=$to/.sysforge.$$
trap 'rm -rf "$scratch" "$new"' EXIT
trap 'exit 130' INT TERM

archive=sysforge-$target.tar.gz
fetch SHA256SUMS
fetch "$archive"
wanted=$(awk -v name="$archive" '$2 == name || $2 == "*" name { print $1 }' "$scratch/SHA256SUMS")
[ -n "$wanted" ] || die "SHA256SUMS does not name $archive"
found=$(digest "$scratch/$archive")
[ "$found" = "$wanted" ] ||
    die "$archive has the digest $found, but should have $wanted; nothing was installed"

tar -xzf "$scratch/$archive" -C "$scratch" sysforge || die "there is no program in $archive"
mkdir -p "$to" || die "the folder $to cannot be created"
if ! { cp "$scratch/sysforge" "$new" && chmod 755 "$new"; }; then
    die "$to cannot be written to"
fi
version=$("$new" --version) || {
    code=$?
    # The exit code of a shell if executing a file is not allowed.
    [ $code -ne 126 ] ||
        die "programs cannot be run in $to; is it mounted noexec? Choose another folder with --to"
    die "the program does not run on this machine"
}
mv "$new" "$to/sysforge" || die "$to/sysforge cannot be replaced"
say "installed $version as $to/sysforge"
case :${PATH:-}: in
*:"$to":*) ;;
*) say "hint: $to is not on the search path" ;;
esac
