//! Calls of a library's functions, in the format of the C program that makes them: one word for
//! each value, with a letter for how C passes it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::interface::{Function, Type};
use crate::text::shortened;

/// One call of a function of the library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LibraryCall {
    /// The name of the function in C.
    pub function: String,
    /// The arguments: numbers, texts (for `Cstring` and pointers to characters), and lists of numbers
    /// (for pointers to numbers).
    #[serde(default)]
    pub args: Vec<Argument>,
    /// What it returns. Default: anything.
    #[serde(default)]
    pub result: Option<Scalar>,
}

/// A number or a text, as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(with = "Raw")]
pub struct Scalar(pub String);

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Argument {
    /// One number or text.
    One(Scalar),
    /// An array of numbers.
    Many(Vec<Scalar>),
}

/// What TOML has of scalars.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Raw {
    Truth(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Raw::deserialize(deserializer)? {
            Raw::Truth(truth) => u8::from(truth).to_string(),
            Raw::Integer(number) => number.to_string(),
            Raw::Float(number) => format!("{number:?}"),
            Raw::Text(text) => text,
        }))
    }
}

/// A call whose values have the types of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedCall {
    /// The function.
    pub function: String,
    /// How its result is passed: `i32`, `u8`, `d`, `f`, `s`, `p`, `v`.
    pub result: &'static str,
    /// The arguments.
    pub args: Vec<Word>,
    /// The expected result, as the program prints it.
    pub expected: Option<String>,
}

/// One argument: a letter for how it is passed, a colon, and the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The argument in the program's format.
    pub text: String,
    /// The same value in Julia.
    pub julia: String,
    /// The expression that Julia passes to the function, where `@` stands for a variable with that
    /// value.
    pub pass: String,
}

/// A call cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum CallError {
    #[error("it has {wanted} parameters, and the call has {found} arguments")]
    Count { wanted: usize, found: usize },
    #[error("`{value}` is not a value of the type {of}")]
    Value { value: String, of: String },
    #[error("the type {of} cannot be passed by the program that makes the calls")]
    Type { of: String },
}

impl TypedCall {
    /// Returns the call of `function` with the configured values.
    ///
    /// # Errors
    ///
    /// If the values do not have the function's types.
    pub fn new(function: &Function, call: &LibraryCall) -> Result<Self, CallError> {
        if function.parameters.len() != call.args.len() {
            return Err(CallError::Count {
                wanted: function.parameters.len(),
                found: call.args.len(),
            });
        }
        let args = function.parameters.iter().zip(&call.args);
        let args = args.map(|(parameter, value)| word(&parameter.of, value));
        let result = letter(&function.result)?;
        let expected = call.result.as_ref();
        Ok(Self {
            function: function.name.clone(),
            result,
            args: args.collect::<Result<_, _>>()?,
            expected: expected
                .map(|scalar| expected_text(result, scalar))
                .transpose()?,
        })
    }

    /// Returns the words for the program: function, result, count, arguments.
    pub fn words(&self) -> Vec<String> {
        let head = [
            self.function.clone(),
            self.result.to_owned(),
            self.args.len().to_string(),
        ];
        let args = self.args.iter().map(|word| word.text.clone());
        head.into_iter().chain(args).collect()
    }

    /// Returns the call as C source.
    pub fn shown(&self) -> String {
        let args = self.args.iter().map(|word| {
            let (_, value) = word.text.split_once(':').unwrap_or_default();
            match word.text.starts_with("s:") {
                true => format!("{value:?}"),
                false => value.to_owned(),
            }
        });
        let args = args.collect::<Vec<_>>().join(", ");
        shortened(&format!("{}({args})", self.function), 200)
    }
}

/// Returns the letter for a type.
fn letter(of: &Type) -> Result<&'static str, CallError> {
    match of {
        Type::Plain { name } => Ok(match name.as_str() {
            "Nothing" => "v",
            "Bool" | "UInt8" => "u8",
            "Int8" => "i8",
            "Int16" => "i16",
            "UInt16" => "u16",
            "Int32" => "i32",
            "UInt32" | "Char" => "u32",
            "Int64" => "i64",
            "UInt64" => "u64",
            "Float32" => "f",
            "Float64" => "d",
            "Cstring" => "s",
            _ => return Err(CallError::Type { of: name.clone() }),
        }),
        Type::Pointer { .. } => Ok("p"),
        Type::Struct { name, .. } | Type::Other { name } => {
            Err(CallError::Type { of: name.clone() })
        }
        Type::Array { .. } => Err(CallError::Type {
            of: "NTuple".to_owned(),
        }),
    }
}

/// Returns the Julia name of a type that [`letter`] supports.
fn in_julia(of: &Type) -> String {
    match of {
        Type::Plain { name } => name.clone(),
        Type::Pointer { to } => match letter(to) {
            Ok("p") | Err(_) => "Ptr{Cvoid}".to_owned(),
            Ok(_) => format!("Ptr{{{}}}", in_julia(to)),
        },
        Type::Struct { name, .. } | Type::Other { name } => name.clone(),
        Type::Array { .. } => "Any".to_owned(),
    }
}

fn word(of: &Type, value: &Argument) -> Result<Word, CallError> {
    let misfit = |value: &str| CallError::Value {
        value: shortened(value, 60),
        of: in_julia(of),
    };
    let letter_of = letter(of)?;
    match (of, value) {
        (Type::Pointer { to }, Argument::Many(values)) => {
            let element = letter(to)?;
            if matches!(element, "v" | "p" | "s") {
                return Err(CallError::Type { of: in_julia(of) });
            }
            for scalar in values {
                number(element, scalar).ok_or_else(|| misfit(&scalar.0))?;
            }
            let texts = values.iter().map(|scalar| scalar.0.as_str());
            let text = texts.collect::<Vec<_>>().join(",");
            Ok(Word {
                text: format!("a{element}:{text}"),
                julia: format!("{}[{text}]", in_julia(to)),
                pass: "pointer(@)".to_owned(),
            })
        }
        // A string argument for `char *`, `uint8_t *` and `const char *`.
        (_, Argument::One(scalar)) if letter_of == "s" || is_text(of) => Ok(Word {
            text: format!("s:{}", scalar.0),
            julia: julia_string(&scalar.0),
            pass: format!("Base.unsafe_convert({}, @)", in_julia(of)),
        }),
        (_, Argument::One(scalar)) if letter_of == "p" && matches!(scalar.0.as_str(), "0" | "") => {
            Ok(Word {
                text: "p:0".to_owned(),
                julia: format!("convert({}, C_NULL)", in_julia(of)),
                pass: "@".to_owned(),
            })
        }
        (_, Argument::One(scalar)) if !matches!(letter_of, "v" | "p") => {
            number(letter_of, scalar).ok_or_else(|| misfit(&scalar.0))?;
            Ok(Word {
                text: format!("{letter_of}:{}", scalar.0),
                julia: format!("{}({})", in_julia(of), scalar.0),
                pass: "@".to_owned(),
            })
        }
        (_, Argument::One(scalar)) => Err(misfit(&scalar.0)),
        (_, Argument::Many(_)) => Err(misfit("a list")),
    }
}

fn is_text(of: &Type) -> bool {
    let Type::Pointer { to } = of else {
        return false;
    };
    matches!(&**to, Type::Plain { name } if name == "Int8" || name == "UInt8")
}

/// Checks that a value is a number of the type.
fn number(letter: &str, scalar: &Scalar) -> Option<()> {
    let text = scalar.0.as_str();
    let within = |low: i128, high: i128| {
        let value: i128 = text.parse().ok()?;
        (low..=high).contains(&value).then_some(())
    };
    match letter {
        "d" | "f" => text
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .map(drop),
        "i8" => within(i8::MIN.into(), i8::MAX.into()),
        "u8" => within(0, u8::MAX.into()),
        "i16" => within(i16::MIN.into(), i16::MAX.into()),
        "u16" => within(0, u16::MAX.into()),
        "i32" => within(i32::MIN.into(), i32::MAX.into()),
        "u32" => within(0, u32::MAX.into()),
        "i64" => within(i64::MIN.into(), i64::MAX.into()),
        "u64" => within(0, u64::MAX.into()),
        _ => None,
    }
}

/// Returns what the program prints for an expected result.
fn expected_text(letter: &str, scalar: &Scalar) -> Result<String, CallError> {
    let misfit = || CallError::Value {
        value: shortened(&scalar.0, 60),
        of: "of its result".to_owned(),
    };
    match letter {
        "s" => Ok(scalar.0.clone()),
        "v" | "p" => Err(misfit()),
        "d" => Ok(format!(
            "{:?}",
            scalar.0.parse::<f64>().map_err(|_| misfit())?
        )),
        "f" => Ok(format!(
            "{:?}",
            scalar.0.parse::<f32>().map_err(|_| misfit())?
        )),
        _ => {
            number(letter, scalar).ok_or_else(misfit)?;
            Ok(scalar.0.clone())
        }
    }
}

/// Returns a text as a Julia string literal.
pub fn julia_string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::super::interface::tests::{function, plain};
    use super::*;

    fn one(text: &str) -> Argument {
        Argument::One(Scalar(text.to_owned()))
    }

    fn call(args: Vec<Argument>, result: Option<&str>) -> LibraryCall {
        LibraryCall {
            function: "f".to_owned(),
            args,
            result: result.map(|text| Scalar(text.to_owned())),
        }
    }

    #[test]
    fn values_get_the_types_of_the_parameters() {
        let doubles = Type::Pointer {
            to: Box::new(plain("Float64")),
        };
        let parameters = [
            ("v", doubles),
            ("n", plain("UInt64")),
            ("s", plain("Cstring")),
        ];
        let f = function("f", plain("Float64"), &parameters);
        let list = Argument::Many(vec![Scalar("1".to_owned()), Scalar("2.5".to_owned())]);
        let typed = TypedCall::new(&f, &call(vec![list, one("2"), one("a b")], Some("2"))).unwrap();
        assert_eq!(typed.words(), ["f", "d", "3", "ad:1,2.5", "u64:2", "s:a b"]);
        assert_eq!(typed.expected.as_deref(), Some("2.0"));
        assert_eq!(typed.args[0].julia, "Float64[1,2.5]");
        assert_eq!(typed.shown(), "f(1,2.5, 2, \"a b\")");
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let f = |of: Type| function("f", plain("Nothing"), &[("x", of)]);
        let fails = |of: Type, value: Argument| {
            TypedCall::new(&f(of), &call(vec![value], None)).unwrap_err()
        };
        assert!(matches!(
            fails(plain("Int8"), one("300")),
            CallError::Value { .. }
        ));
        assert!(matches!(
            fails(plain("UInt32"), one("-1")),
            CallError::Value { .. }
        ));
        assert!(matches!(
            fails(plain("Int32"), one("1.5")),
            CallError::Value { .. }
        ));
        assert!(matches!(
            fails(plain("Float64"), one("x")),
            CallError::Value { .. }
        ));
        let other = Type::Other {
            name: "Vector".to_owned(),
        };
        assert!(matches!(fails(other, one("1")), CallError::Type { .. }));
        let none = TypedCall::new(&f(plain("Int8")), &call(vec![], None)).unwrap_err();
        assert!(matches!(
            none,
            CallError::Count {
                wanted: 1,
                found: 0
            }
        ));
        let result = function("f", plain("Nothing"), &[]);
        assert!(TypedCall::new(&result, &call(vec![], Some("1"))).is_err());
    }
}
