# moto, a server with the interface of Amazon S3, from PyPI. Unlike Swift, it supports conditional writes; it
# checks no signatures.
# shellcheck shell=bash

# Starts moto. Sets `moto_url` and `moto_pid`. Usage: start_moto FOLDER
start_moto() {
    local folder=$1 port=
    mkdir -p "$folder"
    python3 -m venv "$folder/venv"
    "$folder/venv/bin/pip" --quiet install 'moto[s3]' flask flask-cors
    # Port 0 is a free one, which the log names.
    "$folder/venv/bin/moto_server" --host 127.0.0.1 --port 0 >"$folder/log" 2>&1 &
    moto_pid=$!
    until port=$(sed -n 's|.*Running on http://127\.0\.0\.1:\([0-9]*\).*|\1|p' "$folder/log") && [[ -n $port ]]; do
        kill -0 "$moto_pid" 2>/dev/null || die "moto does not start: $(cat "$folder/log")"
        sleep 0.1
    done
    # shellcheck disable=SC2034 # of those who include this
    moto_url=http://127.0.0.1:$port
}
