//! Checks a C library as its users would use it: opens the file, starts Julia, calls functions, and
//! ends Julia. Usage: `caller LIBRARY RESULTS [FUNCTION RESULT COUNT ARGUMENT…]…`. Each value has a
//! prefix for the way that C passes it (`i32:5`, `d:2.5`, `s:text`, `ad:1,2`, `p:0`);
//! `crates/plan/src/library/call.rs` writes them. The output goes into the file RESULTS: lines
//! `init<TAB>milliseconds` and `call<TAB>name<TAB>milliseconds<TAB>result`.
//!
//! Like the launcher, it is compiled when Sysforge is built, and embedded in it. It is not part of
//! a library.

#![cfg_attr(test, allow(dead_code))]

#[path = "system.rs"]
#[allow(dead_code, reason = "the launcher uses the rest of it")]
mod system;

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use system::Library;

/// A value as C passes it: integers and pointers in one kind of register, floating-point numbers in
/// another.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Word(u64),
    Double(f64),
    Float(f32),
}

/// The arguments of a call, and the data that their pointers refer to.
#[derive(Debug, Default)]
struct Arguments {
    values: Vec<Value>,
    texts: Vec<CString>,
    arrays: Vec<Vec<u64>>,
}

impl Arguments {
    fn add(&mut self, word: &str) -> Result<(), String> {
        let bad = || format!("`{word}` is no value");
        let (kind, text) = word.split_once(':').ok_or_else(bad)?;
        let value = match kind {
            "d" => Value::Double(text.parse().map_err(|_| bad())?),
            "f" => Value::Float(text.parse().map_err(|_| bad())?),
            "s" => {
                let text = CString::new(text).map_err(|_| bad())?;
                // The bytes do not move when the string is moved.
                let address = text.as_ptr().expose_provenance();
                self.texts.push(text);
                Value::Word(address as u64)
            }
            _ if kind.starts_with('a') => {
                let mut bytes = Vec::new();
                for element in text.split(',').filter(|element| !element.is_empty()) {
                    add_bytes(&kind[1..], element, &mut bytes).ok_or_else(bad)?;
                }
                // Aligned for every type.
                let words = bytes.chunks(8).map(|chunk| {
                    let mut word = [0; 8];
                    word[..chunk.len()].copy_from_slice(chunk);
                    u64::from_ne_bytes(word)
                });
                let array: Vec<u64> = words.collect();
                let address = array.as_ptr().expose_provenance();
                self.arrays.push(array);
                Value::Word(address as u64)
            }
            _ => Value::Word(whole(text).ok_or_else(bad)?),
        };
        self.values.push(value);
        Ok(())
    }
}

/// Parses an integer. Negative ones are in two's complement of 64 bits: each narrower type is the
/// lower part.
fn whole(text: &str) -> Option<u64> {
    let signed = || text.parse::<i64>().ok().map(i64::cast_unsigned);
    text.parse::<u64>().ok().or_else(signed)
}

fn add_bytes(kind: &str, text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    match kind {
        "d" => bytes.extend(text.parse::<f64>().ok()?.to_ne_bytes()),
        "f" => bytes.extend(text.parse::<f32>().ok()?.to_ne_bytes()),
        _ => {
            let all = whole(text)?.to_le_bytes();
            let size = match kind {
                "i8" | "u8" => 1,
                "i16" | "u16" => 2,
                "i32" | "u32" => 4,
                _ => 8,
            };
            let mut part = all[..size].to_vec();
            if cfg!(target_endian = "big") {
                part.reverse();
            }
            bytes.extend(part);
        }
    }
    Some(())
}

/// Evaluates `$body` with `$name` bound to the value in the type that C passes it in.
macro_rules! passed {
    ($value:expr, $name:ident => $body:expr) => {
        match $value {
            Value::Word($name) => $body,
            Value::Double($name) => $body,
            Value::Float($name) => $body,
        }
    };
}

/// Calls the function at `address` with up to four values.
///
/// # Safety
///
/// It must be a C function with parameters of these kinds that returns an `R`.
unsafe fn call<R>(address: *mut c_void, values: &[Value]) -> Option<R> {
    // SAFETY: the caller guarantees the types.
    unsafe {
        Some(match *values {
            [] => std::mem::transmute::<*mut c_void, extern "C" fn() -> R>(address)(),
            [a] => passed!(a, a => one(address, a)),
            [a, b] => passed!(a, a => passed!(b, b => two(address, a, b))),
            [a, b, c] => {
                passed!(a, a => passed!(b, b => passed!(c, c => three(address, a, b, c))))
            }
            [a, b, c, d] => passed!(a, a => passed!(b, b => passed!(c, c =>
                passed!(d, d => four(address, a, b, c, d))))),
            _ => return None,
        })
    }
}

// SAFETY of all four: as for `call`.
unsafe fn one<R, A>(address: *mut c_void, a: A) -> R {
    // SAFETY: see above.
    unsafe { std::mem::transmute::<*mut c_void, extern "C" fn(A) -> R>(address)(a) }
}

unsafe fn two<R, A, B>(address: *mut c_void, a: A, b: B) -> R {
    // SAFETY: see above.
    unsafe { std::mem::transmute::<*mut c_void, extern "C" fn(A, B) -> R>(address)(a, b) }
}

unsafe fn three<R, A, B, C>(address: *mut c_void, a: A, b: B, c: C) -> R {
    // SAFETY: see above.
    unsafe { std::mem::transmute::<*mut c_void, extern "C" fn(A, B, C) -> R>(address)(a, b, c) }
}

unsafe fn four<R, A, B, C, D>(address: *mut c_void, a: A, b: B, c: C, d: D) -> R {
    // SAFETY: see above.
    unsafe {
        std::mem::transmute::<*mut c_void, extern "C" fn(A, B, C, D) -> R>(address)(a, b, c, d)
    }
}

/// Calls a function and returns its result as text.
///
/// # Safety
///
/// It must be a C function with parameters of these kinds and this result.
unsafe fn called(address: *mut c_void, result: &str, values: &[Value]) -> Option<String> {
    // SAFETY: the caller guarantees the types; a result of kind `s` is null or a C string.
    unsafe {
        Some(match result {
            "v" => call::<()>(address, values).map(|()| String::new())?,
            "d" => format!("{:?}", call::<f64>(address, values)?),
            "f" => format!("{:?}", call::<f32>(address, values)?),
            "i8" => call::<i8>(address, values)?.to_string(),
            "u8" => call::<u8>(address, values)?.to_string(),
            "i16" => call::<i16>(address, values)?.to_string(),
            "u16" => call::<u16>(address, values)?.to_string(),
            "i32" => call::<i32>(address, values)?.to_string(),
            "u32" => call::<u32>(address, values)?.to_string(),
            "i64" => call::<i64>(address, values)?.to_string(),
            "u64" => call::<u64>(address, values)?.to_string(),
            "s" => {
                let text = call::<*const c_char>(address, values)?;
                match text.is_null() {
                    true => "NULL".to_owned(),
                    false => CStr::from_ptr(text).to_string_lossy().into_owned(),
                }
            }
            "p" => match call::<*const c_void>(address, values)?.is_null() {
                true => "NULL".to_owned(),
                false => "a pointer".to_owned(),
            },
            _ => return None,
        })
    }
}

fn run(arguments: &[String]) -> Result<(), String> {
    let mut words = arguments.iter().map(String::as_str);
    let mut next = || words.next().ok_or_else(|| "too few arguments".to_owned());
    let (path, results) = (next()?, next()?);
    let mut text = String::new();
    let started = Instant::now();
    let library = Library::open(Path::new(path))?;
    let symbol = |name: &str| {
        let c_name = CString::new(name).map_err(|_| "a name with a zero byte".to_owned())?;
        let address = library.symbol(&c_name);
        address.ok_or_else(|| format!("the library has no function {name}"))
    };
    let (init, shutdown) = (symbol("init_julia")?, symbol("shutdown_julia")?);
    // SAFETY: every library that Sysforge makes has these two functions (crates/bundle/src/c/init.c).
    let (init, shutdown) = unsafe {
        (
            std::mem::transmute::<*mut c_void, extern "C" fn(c_int, *mut *mut c_char)>(init),
            std::mem::transmute::<*mut c_void, extern "C" fn(c_int)>(shutdown),
        )
    };
    init(0, std::ptr::null_mut());
    // A second call does nothing.
    init(0, std::ptr::null_mut());
    let milliseconds = |since: Instant| since.elapsed().as_secs_f64() * 1000.0;
    let _ = writeln!(text, "init\t{:.3}", milliseconds(started));
    while let Ok(function) = next() {
        let result = next()?;
        let count: usize = next()?.parse().map_err(|_| "no number of arguments")?;
        let mut arguments = Arguments::default();
        for _ in 0..count {
            arguments.add(next()?)?;
        }
        let address = symbol(function)?;
        let started = Instant::now();
        // SAFETY: Sysforge wrote the kinds from the types that Julia lists for this function, and the
        // texts and arrays live until it has returned.
        let returned = unsafe { called(address, result, &arguments.values) };
        let returned = returned.ok_or_else(|| format!("{function} cannot be called"))?;
        let returned = returned.replace(['\n', '\r', '\t'], " ");
        let _ = writeln!(
            text,
            "call\t{function}\t{:.3}\t{returned}",
            milliseconds(started)
        );
    }
    std::fs::write(results, text).map_err(|error| format!("cannot write {results}: {error}"))?;
    shutdown(0);
    Ok(())
}

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match run(&arguments) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn weighted(values: *const f64, count: u64, factor: f32, offset: i32) -> f64 {
        // SAFETY: the test passes an array of that many numbers.
        let values = unsafe { std::slice::from_raw_parts(values, count as usize) };
        values.iter().sum::<f64>() * f64::from(factor) + f64::from(offset)
    }

    extern "C" fn negated(x: i8) -> i8 {
        -x
    }

    extern "C" fn same(text: *const c_char) -> *const c_char {
        text
    }

    fn call_with(address: *mut c_void, result: &str, words: &[&str]) -> Option<String> {
        let mut arguments = Arguments::default();
        for word in words {
            arguments.add(word).unwrap();
        }
        // SAFETY: the tests pass the types that the functions accept.
        unsafe { called(address, result, &arguments.values) }
    }

    #[test]
    fn values_of_every_kind_arrive() {
        let sum = weighted as *mut c_void;
        let words = ["ad:1.5,2.5", "u64:2", "f:0.5", "i32:-3"];
        assert_eq!(call_with(sum, "d", &words).unwrap(), "-1.0");
        assert_eq!(
            call_with(negated as *mut c_void, "i8", &["i8:-5"]).unwrap(),
            "5"
        );
        assert_eq!(
            call_with(same as *mut c_void, "s", &["s:a b"]).unwrap(),
            "a b"
        );
        assert_eq!(
            call_with(same as *mut c_void, "s", &["p:0"]).unwrap(),
            "NULL"
        );
    }

    #[test]
    fn arrays_have_the_layout_of_their_type() {
        let mut arguments = Arguments::default();
        arguments.add("ai16:1,-1,2,3,4").unwrap();
        let bytes: Vec<u8> = arguments.arrays[0]
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let wanted: Vec<u8> = [1_i16, -1, 2, 3, 4]
            .iter()
            .flat_map(|x| x.to_ne_bytes())
            .collect();
        assert_eq!(bytes[..10], wanted);
        assert!(arguments.add("d:x").is_err());
        assert!(arguments.add("nothing").is_err());
    }
}
