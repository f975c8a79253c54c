//! The header files of a library, generated from the functions of the package.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::interface::{Function, Interface, Parameter, Type};
use super::{FunctionRecord, INIT, INIT_HEADER, SHUTDOWN, is_c_identifier};

/// Reserved words of C and C++ that are also valid names in Julia.
const KEYWORDS: &str = "\
    alignas alignof and asm auto bool break case catch char class const constexpr continue \
    decltype default delete do double else enum explicit export extern false float for friend \
    goto if inline int long mutable namespace new noexcept not nullptr operator or private \
    protected public register restrict return short signed sizeof static struct switch template \
    this throw true try typedef typeid typename typeof union unsigned using virtual void \
    volatile while xor";

fn is_usable(name: &str) -> bool {
    is_c_identifier(name) && KEYWORDS.split(' ').all(|keyword| keyword != name)
}

/// Returns the header with the functions that start and end Julia, as PackageCompiler declares
/// them.
pub fn init_header() -> String {
    format!(
        "/* Written by Sysforge. */\n\
         #ifndef JULIA_INIT_H\n#define JULIA_INIT_H\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n\
         /* Starts Julia. Call it once, before any other function of the library; a second call does\n\
         \x20  nothing. The words after argv[0] are options for Julia and what follows them, which becomes\n\
         \x20  ARGS; without any, pass 0 and a null pointer. */\n\
         void {INIT}(int argc, char *argv[]);\n\n\
         /* Ends Julia: runs what was registered with atexit. No function of the library may be called\n\
         \x20  afterwards. */\n\
         void {SHUTDOWN}(int retcode);\n\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    )
}

/// Returns the header of the library `name`, and which functions it declares.
pub fn header(name: &str, interface: &Interface) -> (String, Vec<FunctionRecord>) {
    let mut writer = Writer {
        character: &interface.character,
        structures: Vec::new(),
        defined: BTreeSet::new(),
        taken: interface.names().into_iter().map(str::to_owned).collect(),
    };
    let mut declarations = String::new();
    let mut records = Vec::new();
    for function in &interface.functions {
        let undeclared = match writer.declare(function) {
            Ok(line) => {
                let _ = writeln!(
                    declarations,
                    "\n/* {}.{} */\n{line}",
                    in_comment(&function.module),
                    in_comment(&function.name)
                );
                None
            }
            Err(why) => {
                let _ = writeln!(
                    declarations,
                    "\n/* {}.{} is not declared here: {}. */",
                    in_comment(&function.module),
                    in_comment(&function.name),
                    in_comment(&why)
                );
                Some(why)
            }
        };
        records.push(FunctionRecord {
            name: function.name.clone(),
            undeclared,
        });
    }
    let guard = format!("{}_H", name.to_uppercase().replace('-', "_"));
    let structures = writer.structures.concat();
    let text = format!(
        "/* Written by Sysforge from the @ccallable functions. */\n\
         #ifndef {guard}\n#define {guard}\n\n\
         #include <stdbool.h>\n#include <stdint.h>\n\n#include \"{INIT_HEADER}\"\n\n\
         #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\
         {structures}{declarations}\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    );
    (text, records)
}

/// Returns a text in a form that cannot end the surrounding comment.
fn in_comment(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|c| {
            if crate::text::is_deceptive(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    shown.replace("*/", "* /").replace("/*", "/ *")
}

struct Writer<'a> {
    character: &'a str,
    structures: Vec<String>,
    /// The names of the structures already written.
    defined: BTreeSet<String>,
    /// The names of functions.
    taken: BTreeSet<String>,
}

impl Writer<'_> {
    /// Returns the declaration of a function, or why it cannot be declared.
    fn declare(&mut self, function: &Function) -> Result<String, String> {
        if !is_usable(&function.name) {
            return Err(format!(
                "`{}` is not a valid name of a function in C",
                function.name
            ));
        }
        let result = self.of_value(&function.result, "its result")?;
        let mut parameters = Vec::new();
        let names = unique_names(&function.parameters);
        for (parameter, name) in function.parameters.iter().zip(names) {
            let of = self.of_value(&parameter.of, &format!("its parameter {}", parameter.name))?;
            parameters.push(joined(&of, &name));
        }
        let parameters = match parameters.is_empty() {
            true => "void".to_owned(),
            false => parameters.join(", "),
        };
        Ok(format!(
            "{}({parameters});",
            joined(&result, &function.name)
        ))
    }

    fn of_value(&mut self, of: &Type, what: &str) -> Result<String, String> {
        self.c_type(of)
            .map_err(|name| format!("the type `{name}` of {what} cannot be written in C"))
    }

    /// Returns the type in C, or the name of the type that has no C equivalent.
    fn c_type(&mut self, of: &Type) -> Result<String, String> {
        match of {
            Type::Plain { name } => plain(name).map(str::to_owned).ok_or_else(|| name.clone()),
            Type::Pointer { to } => Ok(match &**to {
                Type::Plain { name } if name == self.character => "char *".to_owned(),
                // A type without a C equivalent can still be pointed to.
                other => match self.c_type(other) {
                    Ok(to) => pointer_to(&to),
                    Err(_) => "void *".to_owned(),
                },
            }),
            Type::Struct { name, fields } => self.structure(name, fields),
            Type::Array { of, length } => Err(format!("NTuple of {length} {}", shown(of))),
            Type::Other { name } => Err(name.clone()),
        }
    }

    /// Writes a structure if it is not defined yet, and returns its name.
    fn structure(&mut self, name: &str, fields: &[Parameter]) -> Result<String, String> {
        if self.defined.contains(name) {
            return Ok(name.to_owned());
        }
        if !is_usable(name) || self.taken.contains(name) || fields.is_empty() {
            return Err(name.to_owned());
        }
        let mut lines = String::new();
        for (field, called) in fields.iter().zip(unique_names(fields)) {
            let line = match &field.of {
                Type::Array { of, length } if *length > 0 => {
                    format!(
                        "{}[{length}]",
                        joined(&self.c_type(of).map_err(|_| name.to_owned())?, &called)
                    )
                }
                other => joined(&self.c_type(other).map_err(|_| name.to_owned())?, &called),
            };
            let _ = writeln!(lines, "    {line};");
        }
        self.structures
            .push(format!("\ntypedef struct {{\n{lines}}} {name};\n"));
        self.defined.insert(name.to_owned());
        Ok(name.to_owned())
    }
}

fn shown(of: &Type) -> &str {
    match of {
        Type::Plain { name } | Type::Struct { name, .. } | Type::Other { name } => name,
        Type::Pointer { .. } => "pointers",
        Type::Array { .. } => "arrays",
    }
}

/// Returns the C name of a plain type.
fn plain(name: &str) -> Option<&'static str> {
    Some(match name {
        "Nothing" => "void",
        "Bool" => "bool",
        "Int8" => "int8_t",
        "UInt8" => "uint8_t",
        "Int16" => "int16_t",
        "UInt16" => "uint16_t",
        "Int32" => "int32_t",
        "UInt32" => "uint32_t",
        "Int64" => "int64_t",
        "UInt64" => "uint64_t",
        "Float32" => "float",
        "Float64" => "double",
        "Char" => "uint32_t",
        "Cstring" => "const char *",
        "Cwstring" => "const wchar_t *",
        _ => return None,
    })
}

fn pointer_to(of: &str) -> String {
    match of.ends_with('*') {
        true => format!("{of}*"),
        false => format!("{of} *"),
    }
}

/// Joins a type and a name: `double x`, but `double *x` without a space before the name.
fn joined(of: &str, name: &str) -> String {
    match of.ends_with('*') {
        true => format!("{of}{name}"),
        false => format!("{of} {name}"),
    }
}

/// Returns names that C accepts for parameters or fields: Julia's where possible.
fn unique_names(parameters: &[Parameter]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = parameters.iter().enumerate().map(|(index, parameter)| {
        let own = is_usable(&parameter.name).then(|| parameter.name.clone());
        let name = own.filter(|name| seen.insert(name.clone()));
        name.unwrap_or_else(|| format!("arg{}", index + 1))
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::super::interface::tests::{function, plain};
    use super::*;

    fn pointer(to: Type) -> Type {
        Type::Pointer { to: Box::new(to) }
    }

    fn written(functions: Vec<Function>) -> (String, Vec<FunctionRecord>) {
        let interface = Interface {
            functions,
            character: "Int8".to_owned(),
            ..Interface::default()
        };
        header("my-lib", &interface)
    }

    #[test]
    fn functions_are_declared_with_the_types_of_c() {
        let (text, records) = written(vec![
            function("twice", plain("Int32"), &[("x", plain("Int32"))]),
            function(
                "mean",
                plain("Float64"),
                &[
                    ("values", pointer(plain("Float64"))),
                    ("count", plain("UInt64")),
                ],
            ),
            function(
                "name_of",
                plain("Cstring"),
                &[("text", pointer(plain("Int8")))],
            ),
            function("reset", plain("Nothing"), &[]),
            function(
                "each",
                plain("Bool"),
                &[("x", pointer(pointer(plain("Nothing"))))],
            ),
        ]);
        for line in [
            "#ifndef MY_LIB_H",
            "#include \"julia_init.h\"",
            "int32_t twice(int32_t x);",
            "double mean(double *values, uint64_t count);",
            "const char *name_of(char *text);",
            "void reset(void);",
            "bool each(void **x);",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(records.iter().all(|record| record.undeclared.is_none()));
    }

    #[test]
    fn what_c_cannot_say_is_named_with_a_note() {
        let other = |name: &str| Type::Other {
            name: name.to_owned(),
        };
        let (text, records) = written(vec![
            function("sum", plain("Float64"), &[("v", other("Vector{Float64}"))]),
            function("add!", plain("Int32"), &[]),
            function("int", plain("Int32"), &[]),
            function("evil", other("*/ int x; /*"), &[]),
        ]);
        assert!(
            text.contains("/* Measure.sum is not declared here: the type `Vector{Float64}` of its parameter v cannot be written in C. */"),
            "{text}"
        );
        assert_eq!(records.iter().filter(|r| r.undeclared.is_some()).count(), 4);
        assert!(!text.contains("*/ int x"), "{text}");
        // Only comments.
        assert!(!text.contains("int32_t"), "{text}");
    }

    #[test]
    fn structures_are_written_once_before_what_uses_them() {
        let parameter = |name: &str, of: Type| Parameter {
            name: name.to_owned(),
            of,
        };
        let point = Type::Struct {
            name: "Point".to_owned(),
            fields: vec![
                parameter("x", plain("Float64")),
                parameter("double", plain("Float64")),
                parameter(
                    "tags",
                    Type::Array {
                        of: Box::new(plain("UInt8")),
                        length: 4,
                    },
                ),
            ],
        };
        let (text, _) = written(vec![
            function("length", plain("Float64"), &[("p", point.clone())]),
            function("move", point.clone(), &[("p", pointer(point))]),
        ]);
        let wanted =
            "typedef struct {\n    double x;\n    double arg2;\n    uint8_t tags[4];\n} Point;\n";
        assert_eq!(text.matches(wanted).count(), 1, "{text}");
        assert!(text.contains("Point move(Point *p);"), "{text}");
    }

    #[test]
    fn parameters_get_names_that_c_takes() {
        let (text, _) = written(vec![function(
            "f",
            plain("Nothing"),
            &[
                ("α", plain("Int64")),
                ("int", plain("Int64")),
                ("a", plain("Int64")),
                ("a", plain("Int64")),
            ],
        )]);
        assert!(
            text.contains("void f(int64_t arg1, int64_t arg2, int64_t a, int64_t arg4);"),
            "{text}"
        );
    }
}
