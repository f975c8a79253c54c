#!/usr/bin/env bash
#
# Signs the programs and libraries of an app or C library for macOS or Windows: `sysforge pack --sign
# "bash sign.sh"` runs it with the folder of the files. Variables:
#
#   SYSFORGE_CODESIGN_CERTIFICATE      the certificate and its key: a PKCS #12 file, in base64
#   SYSFORGE_CODESIGN_PASSWORD         the password of that file
#   SYSFORGE_CODESIGN_TIMESTAMP        Windows: the address of a timestamp server; without one, signatures
#                                      end with the certificate
#   SYSFORGE_CODESIGN_IDENTITY         macOS: the name of the certificate, "Developer ID Application: …"
#   SYSFORGE_CODESIGN_APPLE_ID, SYSFORGE_CODESIGN_TEAM, SYSFORGE_CODESIGN_APPLE_PASSWORD
#                                      macOS: for notarization: the account, its team, and an app-specific
#                                      password

set -euo pipefail

folder=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

get_certificate() {
    base64 --decode <<<"$SYSFORGE_CODESIGN_CERTIFICATE" >"$scratch/certificate.p12"
    printf '%s' "$SYSFORGE_CODESIGN_PASSWORD" >"$scratch/password"
}

# Authenticode, with osslsigncode.
sign_windows() {
    local file timestamp=()
    [[ -z ${SYSFORGE_CODESIGN_TIMESTAMP:-} ]] || timestamp=(-ts "$SYSFORGE_CODESIGN_TIMESTAMP")
    while IFS= read -r -d '' file; do
        rm -f "$scratch/signed"
        osslsigncode sign -pkcs12 "$scratch/certificate.p12" -readpass "$scratch/password" -h sha256 \
            "${timestamp[@]}" -in "$file" -out "$scratch/signed"
        # Keeps the mode of the file.
        cat "$scratch/signed" >"$file"
    done < <(find "$folder" -type f \( -iname '*.exe' -o -iname '*.dll' \) -print0)
}

# Developer ID and notarization, with Apple's programs.
sign_macos() {
    local file keychain=$scratch/sign.keychain-db password entitlements=()
    password=$(uuidgen)
    security create-keychain -p "$password" "$keychain"
    security unlock-keychain -p "$password" "$keychain"
    security import "$scratch/certificate.p12" -k "$keychain" -P "$SYSFORGE_CODESIGN_PASSWORD" \
        -T /usr/bin/codesign
    security set-key-partition-list -S apple-tool:,apple: -s -k "$password" "$keychain" >/dev/null
    security list-keychains -d user -s "$keychain" login.keychain-db
    # Julia compiles code at run time, and loads libraries that others signed.
    cat >"$scratch/entitlements.plist" <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
    <key>com.apple.security.cs.allow-jit</key><true/>
    <key>com.apple.security.cs.allow-unsigned-executable-memory</key><true/>
    <key>com.apple.security.cs.disable-library-validation</key><true/>
</dict>
</plist>
END
    while IFS= read -r -d '' file; do
        file -b "$file" | grep -q Mach-O || continue
        entitlements=()
        [[ $file != "$folder"/bin/* ]] || entitlements=(--entitlements "$scratch/entitlements.plist")
        codesign --force --timestamp --options runtime --keychain "$keychain" \
            ${entitlements[@]+"${entitlements[@]}"} --sign "$SYSFORGE_CODESIGN_IDENTITY" "$file"
    done < <(find "$folder" -type f -print0)
    ditto -c -k "$folder" "$scratch/bundle.zip"
    xcrun notarytool submit "$scratch/bundle.zip" --wait --apple-id "$SYSFORGE_CODESIGN_APPLE_ID" \
        --team-id "$SYSFORGE_CODESIGN_TEAM" --password "$SYSFORGE_CODESIGN_APPLE_PASSWORD"
}

case $(uname -s) in
Darwin)
    get_certificate
    sign_macos
    ;;
*)
    # Linux has no such signatures: a folder without programs of Windows stays as it is.
    if [[ -n $(find "$folder" -type f -iname '*.dll' -print -quit) ]]; then
        get_certificate
        sign_windows
    fi
    ;;
esac
