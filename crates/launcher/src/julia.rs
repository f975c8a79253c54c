//! The functions of libjulia that the launcher calls, looked up by name at run time.

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::path::Path;
use std::ptr::NonNull;

use crate::description::Description;
use crate::system::{self, Library};

/// A Julia value; null if there was an exception.
type Value = *mut c_void;

/// Names of the function that starts Julia with the folder of its executable and an image, newest
/// first: 1.12 and later; 1.7 to 1.11; 1.5 and 1.6, which used a special name.
const START: [&CStr; 3] = [
    c"jl_init_with_image_file",
    c"jl_init_with_image",
    c"jl_init_with_image__threading",
];

/// The module with the functions that a launcher calls (`start.jl`).
const MODULE: &CStr = c"SysforgeStart";

/// The code of that module, with the zero byte at the end of a C string.
const CODE: &str = concat!(include_str!("start.jl"), "\0");

/// The value that stands for a standard output whose reader has closed it.
const BROKEN_PIPE: i32 = i32::MIN;

/// An open libjulia.
pub(crate) struct Julia {
    library: Library,
}

/// How an entry point ended.
pub(crate) enum Outcome {
    /// It returned, or its exception was shown; with the exit code.
    Returned(i32),
    /// It wrote to a pipe or socket whose reader has closed it.
    BrokenPipe,
    /// The code that calls it could not run.
    Failed(String),
}

impl Julia {
    /// Opens the library.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let library = Library::open(path)?;
        Ok(Self { library })
    }

    /// Returns the function `name`, as a function pointer.
    ///
    /// # Safety
    ///
    /// `F` must be the type of a pointer to that function as julia.h declares it.
    unsafe fn function<F: Copy>(&self, name: &CStr) -> Result<F, String> {
        let missing = || {
            format!(
                "the libjulia of the bundle has no function {}: it is older than 1.5 or newer than \
                 this Sysforge knows",
                name.to_string_lossy()
            )
        };
        let address = self.library.symbol(name).ok_or_else(missing)?;
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: a function pointer has the size of a data pointer on every system that Julia runs
        // on (asserted above), and the caller guarantees the type.
        Ok(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&address) })
    }

    /// Makes Julia parse its options. If they are invalid, Julia prints an error and ends the
    /// process.
    pub(crate) fn parse_options(
        &self,
        executable: &Path,
        options: &[OsString],
    ) -> Result<(), String> {
        let words = std::iter::once(executable.as_os_str());
        let words = words.chain(options.iter().map(OsString::as_os_str));
        // Julia keeps pointers to these strings as long as it runs.
        let mut pointers = words
            .map(|word| Ok(leaked(word)?.cast_mut()))
            .collect::<Result<Vec<*mut c_char>, String>>()?;
        let mut count = c_int::try_from(pointers.len()).unwrap_or(c_int::MAX);
        pointers.push(std::ptr::null_mut());
        let mut array = pointers.leak().as_mut_ptr();
        // SAFETY: the type is the one in julia.h; both arguments point to live values, and the array
        // ends with a null pointer as C's `argv` does.
        let (count, array) = unsafe {
            let parse: unsafe extern "C" fn(*mut c_int, *mut *mut *mut c_char) =
                self.function(c"jl_parse_opts")?;
            parse(&raw mut count, &raw mut array);
            (usize::try_from(count).unwrap_or(0), array)
        };
        if count == 0 || options.is_empty() {
            return Ok(());
        }
        // SAFETY: Julia moved the words that are not options to the front of the array, and counted
        // them.
        let rest = unsafe { system::words(count, array.cast_const().cast()) };
        let rest: Vec<_> = rest.iter().filter(|word| **word != executable).collect();
        match rest.first() {
            None => Ok(()),
            Some(word) => Err(format!("`{}` is not an option of Julia", word.display())),
        }
    }

    /// Starts Julia with an image.
    pub(crate) fn start(&self, bin: &Path, image: &Path) -> Result<(), String> {
        let (bin, image) = (leaked(bin.as_os_str())?, leaked(image.as_os_str())?);
        let mut names = START.iter();
        let known = names.find(|name| self.library.symbol(name).is_some());
        let name = known.copied().unwrap_or(START[0]);
        // SAFETY: every name in `START` has this type in the julia.h of its versions, and so has
        // `jl_exit_on_sigint`. Both strings live as long as the process. This is the main thread, and
        // Julia was not started before.
        unsafe {
            // As in `julia SCRIPT`: an interrupted program exits. Set before the start, which runs the
            // initializers of packages: an exception in one of them would end with exit code 1.
            let exit_on_interrupt: unsafe extern "C" fn(c_int) =
                self.function(c"jl_exit_on_sigint")?;
            exit_on_interrupt(1);
            let start: unsafe extern "C" fn(*const c_char, *const c_char) = self.function(name)?;
            start(bin, image);
        }
        Ok(())
    }

    /// Sets `PROGRAM_FILE` and `ARGS`.
    pub(crate) fn set_arguments(
        &self,
        executable: &Path,
        arguments: &[OsString],
    ) -> Result<(), String> {
        let failed = || "Julia cannot store the arguments".to_owned();
        let program = system::utf8(executable.as_os_str());
        let begin_program = self.start_function(c"begin_program")?;
        self.call(begin_program, &program)?.ok_or_else(failed)?;
        let add_argument = self.start_function(c"add_argument")?;
        for argument in arguments {
            let argument = system::utf8(argument);
            self.call(add_argument, &argument)?.ok_or_else(failed)?;
        }
        Ok(())
    }

    /// Calls the entry point.
    pub(crate) fn run(&self, description: &Description) -> Outcome {
        let run = self.start_function(c"run");
        let result = run.and_then(|run| self.call(run, description.entry_point().as_bytes()));
        let result = result.and_then(|value| {
            let failed = "Julia cannot run the code that calls the entry point";
            let value = value.ok_or_else(|| failed.to_owned())?;
            // SAFETY: the type is the one in julia.h, and the function always returns an `Int32`.
            unsafe {
                let unbox: unsafe extern "C" fn(Value) -> i32 = self.function(c"jl_unbox_int32")?;
                Ok(unbox(value.as_ptr()))
            }
        });
        match result {
            Ok(BROKEN_PIPE) => Outcome::BrokenPipe,
            Ok(code) => Outcome::Returned(code),
            Err(problem) => Outcome::Failed(problem),
        }
    }

    /// Returns a function of [`MODULE`].
    fn start_function(&self, name: &CStr) -> Result<Value, String> {
        match self.global(self.module()?, name)? {
            function if function.is_null() => Err(format!(
                "the image is for another version of this program: no {}",
                name.to_string_lossy()
            )),
            function => Ok(function),
        }
    }

    /// Calls a function of [`MODULE`] with a string. `None` if it threw an exception.
    fn call(&self, function: Value, argument: &[u8]) -> Result<Option<NonNull<c_void>>, String> {
        // SAFETY: the types are those in julia.h. Julia is running, and this is the thread that started
        // it. A binding of the module keeps the function, and jl_call1 roots the new string.
        unsafe {
            let string: unsafe extern "C" fn(*const c_char, usize) -> Value =
                self.function(c"jl_pchar_to_string")?;
            let call: unsafe extern "C" fn(Value, Value) -> Value = self.function(c"jl_call1")?;
            let argument = string(argument.as_ptr().cast(), argument.len());
            Ok(NonNull::new(call(function, argument)))
        }
    }

    /// Returns [`MODULE`]. An image that was not emitted for apps, like Julia's own, does not contain it;
    /// there, its code is evaluated.
    fn module(&self) -> Result<Value, String> {
        let missing = || "the libjulia of the bundle has no jl_main_module".to_owned();
        let main = self.library.symbol(c"jl_main_module").ok_or_else(missing)?;
        // SAFETY: it is a variable with a Julia value, which the start of Julia has set.
        let main = unsafe { main.cast::<Value>().read() };
        let found = self.global(main, MODULE)?;
        if !found.is_null() {
            return Ok(found);
        }
        // SAFETY: the type is the one in julia.h, the string ends with a zero byte, and Julia was started
        // on this thread.
        unsafe {
            let eval: unsafe extern "C" fn(*const c_char) -> Value =
                self.function(c"jl_eval_string")?;
            eval(CODE.as_ptr().cast());
        }
        match self.global(main, MODULE)? {
            module if module.is_null() => {
                Err("Julia cannot evaluate the code that starts apps".to_owned())
            }
            module => Ok(module),
        }
    }

    /// Returns the value of a global variable of a module, or null.
    fn global(&self, module: Value, name: &CStr) -> Result<Value, String> {
        // SAFETY: the types are those in julia.h, the name ends with a zero byte, and the module is one.
        unsafe {
            let symbol: unsafe extern "C" fn(*const c_char) -> Value =
                self.function(c"jl_symbol")?;
            let global: unsafe extern "C" fn(Value, Value) -> Value =
                self.function(c"jl_get_global")?;
            Ok(global(module, symbol(name.as_ptr())))
        }
    }

    /// Runs Julia's exit code: `atexit` functions, finalizers, flushing.
    pub(crate) fn finish(&self, code: i32) {
        // SAFETY: the type is the one in julia.h, and no function of Julia is called afterwards.
        unsafe {
            if let Ok(at_exit) = self.function::<unsafe extern "C" fn(c_int)>(c"jl_atexit_hook") {
                at_exit(code);
            }
        }
    }
}

/// Returns a C string that is never freed.
fn leaked(text: &OsStr) -> Result<*const c_char, String> {
    let string = CString::new(system::utf8(text))
        .map_err(|_| format!("{} contains a zero byte", text.display()))?;
    Ok(string.into_raw().cast_const())
}
