# The tests' package server for scripts: a coprocess that obeys lines (crates/testkit/src/bin/
# testkit-packages.rs).
# shellcheck shell=bash

# Starts the server, which `build_programs` has built; `packages_url` is its address afterwards.
start_package_server() {
    coproc package_server { exec "${testkit:?build_programs sets it}/testkit-packages"; }
    # Bash closes a coprocess's own descriptors in subshells.
    exec {package_answers}<&"${package_server[0]}" {package_requests}>&"${package_server[1]}"
    IFS= read -r packages_url <&"$package_answers" || die "the package server did not start"
    # No Pkg reaches beyond this machine, whatever it falls back to.
    export JULIA_PKG_SERVER=$packages_url https_proxy=http://127.0.0.1:9 no_proxy=127.0.0.1
}

# Sends the server a line, and prints its answer.
packages() {
    local line
    printf '%s\n' "$*" >&"$package_requests"
    while IFS= read -r line <&"$package_answers" && [[ -n $line ]]; do
        printf '%s\n' "$line"
    done
}
