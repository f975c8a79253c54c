# Julia 1.5.3, which Debian 11 ships, as a relocatable prefix.
# Part of ci/julia-mirror, whose variables `work` and `triplet` it reads.
# shellcheck shell=bash disable=SC2154

readonly suite=bullseye
# The C and C++ runtime is that of the machine: a second copy in one process would conflict with
# other libraries of the machine that are loaded later.
readonly host_runtime=' libc6 libgcc-s1 libstdc++6 libcrypt1 '

# Creates the prefix $2 of Julia $1. Does not need root.
debian_julia() {
    apt_need patchelf
    say "downloading Julia $1 (80 MB)"
    download_packages "$work/apt" julia libjulia-dev
    unpack_packages "$work/apt/cache/archives" "$work/root"
    [[ -x $work/root/usr/bin/julia ]] || die "the downloaded packages have no usr/bin/julia"
    make_prefix "$work/root" "$2"
    relocate "$2"
    rm -rf -- "$work/root" "$work/apt/cache/archives"
}

# Debian's archive keys, under the name of either generation of the package.
archive_keyring() {
    local file
    for file in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        if [[ -f $file ]]; then
            printf '%s\n' "$file"
            return
        fi
    done
    die "the package debian-archive-keyring has no keyring that this script knows"
}

# The base addresses of this machine's apt sources, in order, without duplicates. apt itself reads
# its configuration here, so one-line and deb822 sources are both supported.
apt_mirrors() {
    apt-get --print-uris update |
        sed -n "s|^'\(.*\)/dists/.*/InRelease' .*|\1|p" | awk '!seen[$0]++'
}

# Downloads packages and all their dependencies into $1/cache/archives, with a private apt state
# that knows only one suite and assumes that nothing is installed. Usage: download_packages
# APT_STATE PACKAGE…
download_packages() {
    local apt=$1 mirror mirrors
    shift
    [[ -f /usr/share/keyrings/debian-archive-keyring.gpg ]] || apt_need debian-archive-keyring
    mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial "$apt"/parts
    local options=(
        -o Dir::Etc::SourceList="$apt/sources.list"
        -o Dir::Etc::SourceParts="$apt/parts"
        -o Dir::Etc::PreferencesParts="$apt/parts"
        -o Dir::State="$apt"
        -o Dir::State::Lists="$apt/lists"
        -o Dir::State::status=/dev/null
        -o Dir::Cache="$apt/cache"
        -o APT::Architecture=amd64 -o APT::Architectures=amd64
        -o APT::Sandbox::User=root # the work folder need not be readable by another user
        -o APT::Get::List-Cleanup=false
        -o APT::Update::Error-Mode=any
        -o Acquire::Languages=none
        -o Acquire::Retries=3
        -o Debug::NoLocking=true # the state is private; apt's lock would need root
    )
    mapfile -t mirrors < <(apt_mirrors)
    for mirror in "${mirrors[@]}"; do
        printf 'deb [signed-by=%s] %s %s main\n' "$(archive_keyring)" "$mirror" "$suite" >"$apt/sources.list"
        say "asking $mirror for $suite"
        if apt-get "${options[@]}" -qq update >"$apt/log" 2>&1; then
            apt-get "${options[@]}" -qq -y --no-install-recommends --download-only \
                install "$@" >"$apt/log" 2>&1 || {
                cat "$apt/log" >&2
                die "$mirror has $suite, but its packages could not be downloaded: $*"
            }
            return
        fi
        sed 's/^/  /' "$apt/log" >&2
    done
    die "none of this machine's apt mirrors has Debian's $suite, which has: $*"
}

unpack_packages() {
    local archives=$1 root=$2 deb name
    mkdir -p "$root"
    for deb in "$archives"/*.deb; do
        name=$(basename "$deb")
        [[ $host_runtime == *" ${name%%_*} "* ]] || dpkg-deb -x "$deb" "$root"
    done
}

# Julia's own files, and from the other packages only the libraries that these need.
make_prefix() {
    local root=$1 prefix=$2 lib="lib/$triplet"
    mkdir -p "$prefix"/{bin,etc,include,share} "$prefix/$lib"
    mv "$root/usr/bin/julia" "$prefix/bin/"
    mv "$root/etc/julia" "$prefix/etc/"
    mv "$root/usr/include/julia" "$prefix/include/"
    mv "$root/usr/share/julia" "$prefix/share/"
    mv "$root/usr/$lib/julia" "$prefix/$lib/"
    mv "$root/usr/$lib"/libjulia.so* "$prefix/$lib/"

    # Libraries that are opened by name have a link in the private folder, so these are roots as
    # well.
    local file name queue=("$prefix/bin/julia" "$prefix/$lib"/libjulia.so.1 "$prefix/$lib"/julia/*.so*)
    while [[ ${#queue[@]} -gt 0 ]]; do
        file=${queue[0]}
        queue=("${queue[@]:1}")
        if [[ -L $file && ! -e $file ]]; then
            name=$(basename "$(readlink "$file")")
            take_library "$name"
        else
            while read -r name; do
                take_library "$name"
            done < <(patchelf --print-needed "$file")
        fi
    done
}

# Copies library $1, if the packages contain it, under the requested name, and queues it. Reads and
# writes the variables of make_prefix.
take_library() {
    local name=$1 from to="$prefix/$lib/$1"
    [[ ! -e $to && ! -e $prefix/$lib/julia/$name ]] || return 0
    for from in "$root/usr/$lib/$name" "$root/$lib/$name"; do
        if [[ -e $from ]]; then
            cp -L "$from" "$to"
            queue+=("$to")
            return
        fi
    done
}

# Lets every binary find the others relative to itself, wherever the prefix is.
relocate() {
    # shellcheck disable=SC2016 # the loader expands $ORIGIN
    local file origin='$ORIGIN' lib="lib/$triplet"
    patchelf --set-rpath "$origin/../$lib:$origin/../$lib/julia" "$1/bin/julia"
    for file in "$1/$lib"/*.so* "$1/$lib"/julia/*.so*; do
        [[ -L $file ]] || patchelf --set-rpath "$origin:$origin/..:$origin/julia" "$file"
    done
}
