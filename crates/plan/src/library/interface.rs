//! The functions of a package that are callable from C, as Julia lists them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{INIT, SHUTDOWN};
use crate::explain::{Class, Explain, nearest};
use crate::text::shortened;

/// What Julia reports about a package (from `crates/bundle/src/julia/interface.jl`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The `@ccallable` functions.
    pub functions: Vec<Function>,
    /// The init functions that do not exist.
    #[serde(default)]
    pub missing_init: Vec<String>,
    /// The Julia type of `Cchar`: `Int8` or `UInt8`.
    #[serde(default)]
    pub character: String,
}

/// A function that is callable from C.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name in C.
    pub name: String,
    /// Its name in Julia, if different.
    #[serde(default)]
    pub julia: Option<String>,
    /// The module that defines it.
    pub module: String,
    /// The return type.
    pub result: Type,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name in Julia.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub of: Type,
}

/// A type of Julia's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Type {
    /// A primitive type, or one that has a name in C: `Int32`, `Nothing`, `Cstring`.
    Plain {
        /// The name.
        name: String,
    },
    /// A pointer.
    Pointer {
        /// The type that it points to.
        to: Box<Type>,
    },
    /// A structure without references to Julia's objects.
    Struct {
        /// The name.
        name: String,
        /// The fields, in order.
        fields: Vec<Parameter>,
    },
    /// An array inside a structure: `NTuple`.
    Array {
        /// The element type.
        of: Box<Type>,
        /// The number of elements.
        length: u64,
    },
    /// Anything else.
    Other {
        /// As Julia prints it.
        name: String,
    },
}

/// A package cannot be made into a library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum InterfaceError {
    #[error(
        "the package `{package}` has no `@ccallable` function, so a library would have nothing to call"
    )]
    NoFunction { package: String },
    #[error("two functions are called `{name}` in C: one in {}, one in {}", .modules.0, .modules.1)]
    Twice {
        name: String,
        modules: (String, String),
    },
    #[error("the function `{name}` of {module} has the name of a function that every library has")]
    Reserved { name: String, module: String },
    #[error("the init function `{package}.{function}` does not exist")]
    NoInit { package: String, function: String },
    #[error(
        "the calls of the library name `{function}`, which is not a `@ccallable` function of `{package}`"
    )]
    NoSuchFunction {
        package: String,
        function: String,
        suggestion: Option<String>,
    },
    #[error("`{call}` cannot be called")]
    Call {
        call: String,
        #[source]
        source: super::CallError,
    },
}

impl Explain for InterfaceError {
    fn class(&self) -> Class {
        Class::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoFunction { .. } => {
                "declare one: `Base.@ccallable function twice(x::Cint)::Cint return 2x end`; \
                 `package = \"…\"` in [library] names another package"
                    .to_owned()
            }
            Self::Twice { .. } | Self::Reserved { .. } => {
                "give the function another name: names in C have no modules".to_owned()
            }
            Self::NoInit { .. } => {
                "define it in the package, or correct `init` in [library] of Sysimage.toml"
                    .to_owned()
            }
            Self::NoSuchFunction { suggestion, .. } => match suggestion {
                Some(name) => format!("did you mean `{name}`?"),
                None => "correct `function` in the calls of [library] in Sysimage.toml".to_owned(),
            },
            Self::Call { .. } => {
                "correct the call in [library] of Sysimage.toml, or call the function in a workload"
                    .to_owned()
            }
        }]
    }
}

impl Interface {
    /// Checks that the package can be made into a library.
    ///
    /// # Errors
    ///
    /// If there is no function, a name is reserved, or an init function does not exist.
    pub fn check(&self, package: &str) -> Result<(), InterfaceError> {
        if let Some(function) = self.missing_init.first() {
            return Err(InterfaceError::NoInit {
                package: package.to_owned(),
                function: shortened(function, 100),
            });
        }
        if self.functions.is_empty() {
            return Err(InterfaceError::NoFunction {
                package: package.to_owned(),
            });
        }
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for function in &self.functions {
            let name = shortened(&function.name, 100);
            let reserved = [INIT, SHUTDOWN, "main"].contains(&function.name.as_str())
                || function.name.starts_with("jl_");
            if reserved {
                return Err(InterfaceError::Reserved {
                    name,
                    module: function.module.clone(),
                });
            }
            if let Some(other) = seen.insert(&function.name, &function.module) {
                return Err(InterfaceError::Twice {
                    name,
                    modules: (other.to_owned(), function.module.clone()),
                });
            }
        }
        Ok(())
    }

    /// Returns the function with this name.
    ///
    /// # Errors
    ///
    /// [`InterfaceError::NoSuchFunction`] if there is none.
    pub fn function(&self, package: &str, name: &str) -> Result<&Function, InterfaceError> {
        let found = self.functions.iter().find(|function| function.name == name);
        found.ok_or_else(|| InterfaceError::NoSuchFunction {
            package: package.to_owned(),
            function: shortened(name, 100),
            suggestion: nearest(name, self.functions.iter().map(|f| f.name.as_str()))
                .map(str::to_owned),
        })
    }

    /// Returns the C names of all functions.
    pub fn names(&self) -> BTreeSet<&str> {
        self.functions.iter().map(|f| f.name.as_str()).collect()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn plain(name: &str) -> Type {
        Type::Plain {
            name: name.to_owned(),
        }
    }

    pub(crate) fn function(name: &str, result: Type, parameters: &[(&str, Type)]) -> Function {
        let parameters = parameters.iter().map(|(name, of)| Parameter {
            name: (*name).to_owned(),
            of: of.clone(),
        });
        Function {
            name: name.to_owned(),
            julia: None,
            module: "Measure".to_owned(),
            result,
            parameters: parameters.collect(),
        }
    }

    #[test]
    fn what_makes_no_library_is_refused() {
        let with = |functions: Vec<Function>| Interface {
            functions,
            ..Interface::default()
        };
        let f = |name: &str| function(name, plain("Nothing"), &[]);
        assert!(matches!(
            with(vec![]).check("M"),
            Err(InterfaceError::NoFunction { .. })
        ));
        assert!(matches!(
            with(vec![f("a"), f("a")]).check("M"),
            Err(InterfaceError::Twice { .. })
        ));
        for name in ["init_julia", "shutdown_julia", "main", "jl_init"] {
            assert!(
                matches!(
                    with(vec![f(name)]).check("M"),
                    Err(InterfaceError::Reserved { .. })
                ),
                "{name}"
            );
        }
        let interface = Interface {
            functions: vec![f("scale")],
            missing_init: vec!["setup".to_owned()],
            ..Interface::default()
        };
        assert!(matches!(
            interface.check("M"),
            Err(InterfaceError::NoInit { .. })
        ));
        let error = interface.function("M", "scales").unwrap_err();
        assert_eq!(error.hints(), ["did you mean `scale`?"]);
        assert!(with(vec![f("scale")]).check("M").is_ok());
    }

    #[test]
    fn what_julia_writes_is_read() {
        let text = r#"{"functions":[{"name":"mean","module":"Measure","result":{"kind":"plain","name":"Float64"},
            "parameters":[{"name":"x","type":{"kind":"pointer","to":{"kind":"plain","name":"Float64"}}}]}],
            "missing_init":[],"character":"Int8"}"#;
        let interface: Interface = serde_json::from_str(text).unwrap();
        assert_eq!(interface.functions[0].parameters[0].name, "x");
    }
}
