//! What an image exports: the symbols that Julia looks up when it loads one, and the functions
//! that the user made callable from C. Everything else stays inside: tens of thousands of
//! exported functions overflow the 65,535 ordinals of a DLL and slow every loader down.

use crate::platform::Os;

/// What Julia looks up by name, as patterns in the C spelling.
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

/// Whether Julia looks this symbol up in an image.
#[must_use]
pub fn is_wanted(symbol: &str) -> bool {
    PATTERNS
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(stem) => symbol.starts_with(stem),
            None => symbol == *pattern,
        })
}

/// The export list in the format of the system's linkers: a version script (ELF), an exported
/// symbols list (Mach-O), or a module definition file (PE). `defined` are the symbols that the
/// objects define, as (name, is data), which only a module definition file needs: it knows no
/// patterns. `further` are the functions callable from C.
#[must_use]
pub fn render<'a>(
    os: Os,
    image: &str,
    defined: impl IntoIterator<Item = (&'a str, bool)>,
    further: &[String],
) -> String {
    let mut text = String::new();
    match os {
        Os::Linux | Os::FreeBsd => {
            text.push_str("{\n  global:\n");
            for name in PATTERNS
                .iter()
                .copied()
                .chain(further.iter().map(String::as_str))
            {
                text.push_str(&format!("    {name};\n"));
            }
            text.push_str("  local: *;\n};\n");
        }
        Os::MacOs => {
            for name in PATTERNS
                .iter()
                .copied()
                .chain(further.iter().map(String::as_str))
            {
                text.push_str(&format!("_{name}\n"));
            }
        }
        Os::Windows => {
            text.push_str(&format!("LIBRARY \"{image}\"\nEXPORTS\n"));
            for (name, data) in defined {
                if is_wanted(name) || further.iter().any(|wanted| wanted == name) {
                    text.push_str(&format!("  {name}{}\n", if data { " DATA" } else { "" }));
                }
            }
        }
    }
    text
}

/// The name of the export list's file.
#[must_use]
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
    fn a_module_definition_file_names_each_symbol() {
        let defined = [
            ("jl_system_image_size", true),
            ("julia_f_1", false),
            ("answer", false),
        ];
        assert_eq!(
            render(Os::Windows, "image.dll", defined, &["answer".to_owned()]),
            "LIBRARY \"image.dll\"\nEXPORTS\n  jl_system_image_size DATA\n  answer\n"
        );
    }
}
