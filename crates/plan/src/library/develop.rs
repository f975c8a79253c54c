//! The files with which pkg-config and CMake find a library. Each locates the library relative to
//! itself, so that the folder can be anywhere.

use super::{LibraryNames, LibraryVersion};
use crate::platform::Os;

/// Returns the text of `lib/pkgconfig/NAME.pc`.
pub fn pkg_config(os: Os, name: &str, version: LibraryVersion, description: &str) -> String {
    // pkg-config escapes the spaces in `pcfiledir`; quotes would escape them twice.
    let run_path = match os {
        Os::Windows => "",
        _ => " -Wl,-rpath,${libdir}",
    };
    format!(
        "prefix=${{pcfiledir}}/../..\n\
         includedir=${{prefix}}/include\n\
         libdir=${{prefix}}/lib\n\n\
         Name: {name}\n\
         Description: {description}\n\
         Version: {version}\n\
         Cflags: -I${{includedir}}\n\
         Libs: -L${{libdir}} -l{name}{run_path}\n"
    )
}

/// Returns the text of `lib/cmake/NAME/NAMEConfig.cmake`, which defines the imported target
/// `NAME::NAME`.
pub fn cmake_config(name: &str, names: &LibraryNames) -> String {
    let root = "${_sysforge_root}";
    let further = match &names.import_library {
        Some(import) => format!("\n    IMPORTED_IMPLIB \"{root}/lib/{import}\""),
        None => format!("\n    IMPORTED_SONAME \"{}\"", names.soname),
    };
    // ELF linkers also look for the libraries that a library needs.
    format!(
        "get_filename_component(_sysforge_root \"${{CMAKE_CURRENT_LIST_DIR}}/../../..\" ABSOLUTE)\n\
         if(NOT TARGET {name}::{name})\n\
         \x20 add_library({name}::{name} SHARED IMPORTED)\n\
         \x20 set_target_properties({name}::{name} PROPERTIES\n\
         \x20   IMPORTED_LOCATION \"{root}/{}\"{further}\n\
         \x20   INTERFACE_INCLUDE_DIRECTORIES \"{root}/include\")\n\
         endif()\n\
         unset(_sysforge_root)\n",
        names.path()
    )
}

/// Returns the text of `lib/cmake/NAME/NAMEConfigVersion.cmake`: a newer version of the same major
/// version is compatible.
pub fn cmake_version(version: LibraryVersion) -> String {
    format!(
        "set(PACKAGE_VERSION \"{version}\")\n\
         if(PACKAGE_FIND_VERSION_MAJOR STREQUAL \"{}\" AND NOT PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)\n\
         \x20 set(PACKAGE_VERSION_COMPATIBLE TRUE)\n\
         \x20 if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)\n\
         \x20   set(PACKAGE_VERSION_EXACT TRUE)\n\
         \x20 endif()\n\
         else()\n\
         \x20 set(PACKAGE_VERSION_COMPATIBLE FALSE)\n\
         endif()\n",
        version.major
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::CompatLevel;

    #[test]
    fn everything_is_found_from_the_place_of_the_file() {
        let version = "1.2.3".parse().unwrap();
        let text = pkg_config(Os::Linux, "measure", version, "Measures");
        assert!(text.starts_with("prefix=${pcfiledir}/../..\n"), "{text}");
        assert!(
            text.contains("Libs: -L${libdir} -lmeasure -Wl,-rpath,${libdir}\n"),
            "{text}"
        );
        assert!(!pkg_config(Os::Windows, "m", version, "M").contains("rpath"));
        let names = |os| LibraryNames::of(os, "measure", version, CompatLevel::Major);
        let linux = cmake_config("measure", &names(Os::Linux));
        assert!(
            linux.contains("IMPORTED_LOCATION \"${_sysforge_root}/lib/libmeasure.so.1.2.3\""),
            "{linux}"
        );
        assert!(
            linux.contains("IMPORTED_SONAME \"libmeasure.so.1\""),
            "{linux}"
        );
        let windows = cmake_config("measure", &names(Os::Windows));
        assert!(
            windows.contains("IMPORTED_IMPLIB \"${_sysforge_root}/lib/libmeasure.dll.a\""),
            "{windows}"
        );
        assert!(windows.contains("/bin/measure.dll\""), "{windows}");
    }
}
