//! A juliaup for linking channels.

use std::path::Path;

use crate::support::Scratch;

/// Installs a juliaup: the real one that JULIAUP names, otherwise a mock with the same
/// configuration format.
pub(crate) fn put(scratch: &Scratch) {
    let folder = scratch.path("juliaup-bin");
    std::fs::create_dir_all(&folder).unwrap();
    let program = folder.join("juliaup");
    if let Some(real) = std::env::var_os("JULIAUP") {
        std::os::unix::fs::symlink(real, &program).unwrap();
        return;
    }
    let mock = r#"#!/bin/sh
# mock
kept=$JULIAUP_DEPOT_PATH/juliaup/juliaup.json
case "$1 $4" in
'link --')
    [ $# = 5 ] && [ ! -e "$kept" ] || { echo "Channel name '$2' is already used." >&2; exit 1; }
    mkdir -p "${kept%/*}"
    printf '{"InstalledChannels": {"%s": {"Command": "%s", "Args": ["%s"]}}}' \
        "$2" "$3" "$5" >"$kept" ;;
'remove ') rm "$kept" ;;
*) exit 1 ;;
esac
"#;
    std::fs::write(&program, mock).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
}

/// The link of the channel, or null.
pub(crate) fn channel(scratch: &Scratch, home: &str) -> serde_json::Value {
    let config = std::fs::read(scratch.path(home).join("juliaup/juliaup.json"));
    let config: serde_json::Value =
        serde_json::from_slice(&config.unwrap_or_else(|_| b"{}".to_vec())).unwrap();
    config["InstalledChannels"]["insurance"].clone()
}

/// The image that the channel starts.
pub(crate) fn image_of_channel(scratch: &Scratch, home: &str) -> String {
    let channel = channel(scratch, home);
    let argument = channel["Args"][0].as_str().unwrap();
    let image = argument.strip_prefix("--sysimage=").unwrap();
    assert!(Path::new(image).is_file(), "{image}");
    image.to_owned()
}
