# By version and checksum: one digest pins the list of checksums, and that list each binary.
case "$RUNNER_OS-$RUNNER_ARCH" in
  Linux-X64) file=sysforge-x86_64-linux-gnu ;;
  Linux-ARM64) file=sysforge-aarch64-linux-gnu ;;
  macOS-X64) file=sysforge-x86_64-apple-darwin ;;
  macOS-ARM64) file=sysforge-aarch64-apple-darwin ;;
  Windows-*) file=sysforge-x86_64-windows.exe ;;
  *) echo "::error title=Sysforge::there is no Sysforge for $RUNNER_OS on $RUNNER_ARCH"; exit 2 ;;
esac
dir="$RUNNER_TEMP/sysforge-$SYSFORGE_VERSION"
mkdir -p "$dir"
fetch() {
  curl --fail --silent --show-error --location --retry 5 --retry-connrefused \
    --output "$dir/$1" "$SYSFORGE_FROM/$1"
}
digest() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi <"$1" | cut -d ' ' -f 1
}
agree() {
  [ "$(digest "$dir/$1")" = "$2" ] || {
    echo "::error title=Sysforge::$1 from $SYSFORGE_FROM is not what was pinned ($2)"
    exit 3
  }
}
fetch SHA256SUMS
agree SHA256SUMS "$SYSFORGE_SUMS"
fetch "$file"
agree "$file" "$(awk -v file="$file" '$2 == file { print $1 }' "$dir/SHA256SUMS")"
mv "$dir/$file" "$dir/sysforge${file#"${file%.exe}"}"
chmod +x "$dir"/sysforge*
echo "$dir" >>"$GITHUB_PATH"
