//! The exports of an image: the symbols that Julia looks up when it loads one, and the functions
//! that the user made callable from C. All other symbols stay local: tens of thousands of exported
//! functions exceed the 65,535 ordinals of a DLL and slow down every loader.

use std::collections::BTreeMap;

use crate::platform::Os;

/// The names that Julia looks up, as patterns in C spelling.
pub const PATTERNS: &[&str] = &[
    "jl_sysimg_*",
    "jl_system_image_*",
    "jl_image_*",
    "jl_dispatch_*",
    "jl_RTLD_DEFAULT_handle*",
    "get_jl_RTLD_DEFAULT_handle*",
    "jl_globalUnique",
    "jl_get_ptls_states_slot",
    "jl_pgcstack_*",
    "jl_tls_offset",
    "__julia_personality",
];

/// Returns whether Julia looks up this symbol in an image.
pub fn is_wanted(symbol: &str) -> bool {
    PATTERNS
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(stem) => symbol.starts_with(stem),
            None => symbol == *pattern,
        })
}

/// Returns the export list in the format of the system's linkers: a version script (ELF), an
/// exported symbols list (Mach-O) or a module definition file (PE). `defined` contains the symbols
/// that the objects define, as (name, is data). Every export is listed by name, because module
/// definition files do not support patterns and newer linkers refuse undefined names. `further`
/// contains the functions callable from C.
pub fn render<'a>(
    os: Os,
    image: &str,
    defined: impl IntoIterator<Item = (&'a str, bool)>,
    further: &[String],
) -> String {
    let is_exported = |name: &str| is_wanted(name) || further.iter().any(|wanted| wanted == name);
    let exported: BTreeMap<_, _> = defined
        .into_iter()
        .filter(|(name, _)| is_exported(name))
        .collect();
    let lines = |line: &dyn Fn(&str, bool) -> String| -> String {
        exported
            .iter()
            .map(|(name, is_data)| line(name, *is_data))
            .collect()
    };
    match os {
        Os::Linux | Os::FreeBsd => {
            let global = lines(&|name, _| format!("    {name};\n"));
            let global = if global.is_empty() {
                global
            } else {
                format!("  global:\n{global}")
            };
            format!("{{\n{global}  local: *;\n}};\n")
        }
        Os::MacOs => lines(&|name, _| format!("_{name}\n")),
        Os::Windows => {
            let data = |is_data| if is_data { " DATA" } else { "" };
            let exports = lines(&|name, is_data| format!("  {name}{}\n", data(is_data)));
            format!("LIBRARY \"{image}\"\nEXPORTS\n{exports}")
        }
    }
}

/// Returns the file name of the export list.
pub const fn file_name(os: Os) -> &'static str {
    match os {
        Os::Linux | Os::FreeBsd => "exports.map",
        Os::MacOs => "exports.txt",
        Os::Windows => "exports.def",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn julia_finds_what_it_looks_up_and_nothing_else_is_shown() {
        for wanted in [
            "jl_system_image_data",
            "jl_image_pointers",
            "jl_sysimg_fvars_base",
        ] {
            assert!(is_wanted(wanted), "{wanted}");
        }
        for inner in [
            "julia_foo_123",
            "jfptr_foo_12",
            "japi1_bar_3",
            "jl_true",
            "memcpy",
        ] {
            assert!(!is_wanted(inner), "{inner}");
        }
    }

    #[test]
    fn what_is_exported_is_named() {
        let defined = [
            ("jl_system_image_size", true),
            ("julia_f_1", false),
            ("answer", false),
        ];
        let render = |os| render(os, "image.dll", defined, &["answer".to_owned()]);
        assert_eq!(
            render(Os::Windows),
            "LIBRARY \"image.dll\"\nEXPORTS\n  answer\n  jl_system_image_size DATA\n"
        );
        assert_eq!(render(Os::MacOs), "_answer\n_jl_system_image_size\n");
        assert_eq!(
            render(Os::Linux),
            "{\n  global:\n    answer;\n    jl_system_image_size;\n  local: *;\n};\n"
        );
    }
}
