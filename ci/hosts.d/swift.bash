# OpenStack Swift with its S3 interface, from Debian's packages: one proxy, one account, one container and
# one object server on this machine, in a folder of their own, with one copy of each object.
# shellcheck shell=bash

readonly swift_access_key=test:tester swift_secret_key=testing

# Starts Swift. Sets `swift_url`, and adds the processes to `swift_pids`. Usage: start_swift FOLDER
start_swift() {
    local folder=$1 kind
    apt_need swift-account swift-container swift-object swift-proxy
    mkdir -p "$folder"/{etc,node/d1,log}
    local base
    base=$(free_ports 4)
    local -A ports=([proxy]=$base [account]=$((base + 1)) [container]=$((base + 2)) [object]=$((base + 3)))
    # Only the part of the paths of objects that is secret; it does not matter here.
    printf '[swift-hash]\nswift_hash_path_suffix = sysforge\n' >"$folder/etc/swift.conf"
    printf '[storage-policy:0]\nname = one\ndefault = yes\n' >>"$folder/etc/swift.conf"
    for kind in account container object; do
        (
            cd "$folder/etc" || exit
            swift-ring-builder "$kind.builder" create 4 1 0
            swift-ring-builder "$kind.builder" add "r1z1-127.0.0.1:${ports[$kind]}/d1" 1
            swift-ring-builder "$kind.builder" rebalance
        ) >>"$folder/log/rings" 2>&1
        swift_settings "$folder" "${ports[$kind]}" >"$folder/etc/$kind-server.conf"
        printf 'devices = %s/node\nmount_check = false\n[pipeline:main]\npipeline = %s-server\n[app:%s-server]\nuse = egg:swift#%s\n' \
            "$folder" "$kind" "$kind" "$kind" >>"$folder/etc/$kind-server.conf"
    done
    swift_settings "$folder" "${ports[proxy]}" >"$folder/etc/proxy-server.conf"
    cat >>"$folder/etc/proxy-server.conf" <<PROXY
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = $swift_secret_key .admin
user_test_reader = reading
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
PROXY
    local filter
    for filter in catch_errors listing_formats copy slo dlo; do
        printf '[filter:%s]\nuse = egg:swift#%s\n' "$filter" "$filter" >>"$folder/etc/proxy-server.conf"
    done
    printf '[filter:cache]\nuse = egg:swift#memcache\n' >>"$folder/etc/proxy-server.conf"
    for kind in account container object proxy; do
        # Swift reads swift.conf from one place; a namespace puts this one there.
        # shellcheck disable=SC2016 # the inner shell expands them
        unshare --mount --propagation private bash -euc '
            mkdir -p /etc/swift
            mount --bind "$1/etc" /etc/swift
            exec "swift-$2-server" "/etc/swift/$2-server.conf" --verbose
        ' bash "$folder" "$kind" >"$folder/log/$kind" 2>&1 &
        swift_pids+=($!)
    done
    swift_url=http://127.0.0.1:${ports[proxy]}
    for _ in {1..600}; do
        ! curl --silent --output /dev/null "$swift_url" || return 0
        kill -0 "${swift_pids[-1]}" 2>/dev/null || break
        sleep 0.2
    done
    cat "$folder/log/proxy" >&2
    die "Swift does not start"
}

# What every server is told. Usage: swift_settings FOLDER PORT
swift_settings() {
    printf '[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = %s\nuser = root\nswift_dir = /etc/swift\n' "$2"
    printf 'workers = 0\nlog_level = WARNING\n'
}

# The first of some ports in a row that are free. Usage: free_ports COUNT
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket
import sys

count = int(sys.argv[1])
while True:
    with socket.socket() as first:
        first.bind(("127.0.0.1", 0))
        base = first.getsockname()[1]
    try:
        for port in range(base, base + count):
            with socket.socket() as one:
                one.bind(("127.0.0.1", port))
    except (OSError, OverflowError):
        continue
    print(base)
    break
PYTHON
}

# Makes a bucket. Usage: make_bucket NAME
make_bucket() {
    AWS_ACCESS_KEY_ID=$swift_access_key AWS_SECRET_ACCESS_KEY=$swift_secret_key \
        ci/hosts.d/s3 PUT "$swift_url/$1" </dev/null
}
