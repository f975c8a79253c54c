//! Functions of the operating system: the launcher's own path, libraries, variables, pipes.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

#[cfg(unix)]
pub(crate) use self::unix::*;
#[cfg(windows)]
pub(crate) use self::windows::*;

/// The variables that [`replace_variables`] changed, with their previous values.
pub(crate) type Changed = Vec<(&'static str, Option<OsString>)>;

/// Sets variables, or removes those without a value.
pub(crate) fn replace_variables(new: &[(&'static str, Option<&OsString>)]) -> Changed {
    let before = new.iter().map(|(name, _)| (*name, std::env::var_os(name)));
    let before = before.collect();
    for (name, value) in new {
        set_variable(name, value.map(OsString::as_os_str));
    }
    before
}

/// Undoes [`replace_variables`].
pub(crate) fn restore_variables(before: Changed) {
    for (name, value) in before {
        set_variable(name, value.as_deref());
    }
}

fn set_variable(name: &str, value: Option<&OsStr>) {
    // SAFETY: no thread that Julia has started by now reads or writes the environment, and that of
    // `interruptible` waits for a signal.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

/// Returns the path of this executable without symbolic links.
pub(crate) fn executable(called: Option<&Path>) -> Result<PathBuf, String> {
    let found = std::env::current_exe().ok().or_else(|| started_as(called));
    let found = found.ok_or("the system does not say where this executable is")?;
    let real = found.canonicalize();
    let real = real.map_err(|error| format!("cannot find {}: {error}", found.display()))?;
    Ok(without_prefix(real))
}

/// Starts Julia. On Linux, an interrupt that comes meanwhile ends the process, as it ends any program: the
/// handler of Julia 1.12 crashes until Julia has started.
///
/// A thread waits for the signal, as Julia's own thread for signals does. Linux gives a signal of the process
/// to the oldest of the threads that wait for it, and this one is older.
#[cfg(target_os = "linux")]
pub(crate) fn interruptible<T>(start: impl FnOnce() -> T) -> T {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let started = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&started);
    // If there is no thread, Julia handles the signal.
    let _ = std::thread::Builder::new()
        .spawn(move || linux::end_if_interrupted(|| seen.load(Ordering::Relaxed)));
    let result = start();
    started.store(true, Ordering::Relaxed);
    result
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn interruptible<T>(start: impl FnOnce() -> T) -> T {
    start()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_long, c_void};

    const SIGINT: c_int = 2;
    const SIG_BLOCK: c_int = 0;
    const SIG_UNBLOCK: c_int = 1;
    const SIG_DFL: usize = 0;

    /// `sigset_t`, which has 128 bytes in every C library.
    #[repr(C, align(8))]
    struct Signals([u8; 128]);

    #[repr(C)]
    struct TimeSpec {
        seconds: c_long,
        nanoseconds: c_long,
    }

    unsafe extern "C" {
        fn sigemptyset(set: *mut Signals) -> c_int;
        fn sigaddset(set: *mut Signals, number: c_int) -> c_int;
        fn pthread_sigmask(how: c_int, set: *const Signals, old: *mut Signals) -> c_int;
        fn sigtimedwait(set: *const Signals, info: *mut c_void, timeout: *const TimeSpec) -> c_int;
        fn signal(number: c_int, handler: usize) -> usize;
        fn raise(number: c_int) -> c_int;
        fn _exit(code: c_int) -> !;
    }

    /// Ends the process if an interrupt comes before something is `over`, which is asked every 20 ms.
    pub(super) fn end_if_interrupted(over: impl Fn() -> bool) {
        let mut interrupt = Signals([0; 128]);
        let timeout = TimeSpec {
            seconds: 0,
            nanoseconds: 20_000_000,
        };
        let (signals, none) = (&raw mut interrupt, std::ptr::null_mut());
        // SAFETY: the set and the time have the layouts of the C library and live until the calls
        // return; a null pointer stands for what is not wanted.
        unsafe {
            sigemptyset(signals);
            sigaddset(signals, SIGINT);
            pthread_sigmask(SIG_BLOCK, signals, std::ptr::null_mut());
            while !over() {
                if sigtimedwait(signals, none, &raw const timeout) == SIGINT {
                    signal(SIGINT, SIG_DFL);
                    pthread_sigmask(SIG_UNBLOCK, signals, std::ptr::null_mut());
                    raise(SIGINT);
                    _exit(128 + SIGINT)
                }
            }
        }
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    pub(crate) const PATH_LIST_SEPARATOR: &str = ":";

    const RTLD_LAZY: c_int = 1;
    const RTLD_GLOBAL: c_int = if cfg!(target_os = "macos") { 8 } else { 0x100 };
    const SIGPIPE: c_int = 13;
    const SIG_DFL: usize = 0;
    const POLLERR: i16 = 8;

    #[repr(C)]
    struct PollFd {
        fd: c_int,
        events: i16,
        revents: i16,
    }

    #[cfg(target_os = "linux")]
    type Count = std::ffi::c_ulong;
    #[cfg(not(target_os = "linux"))]
    type Count = std::ffi::c_uint;

    unsafe extern "C" {
        fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
        fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
        fn dlerror() -> *const c_char;
        fn poll(fds: *mut PollFd, count: Count, timeout: c_int) -> c_int;
        fn signal(number: c_int, handler: usize) -> usize;
        fn raise(number: c_int) -> c_int;
        fn _exit(code: c_int) -> !;
        #[cfg(target_os = "linux")]
        fn getauxval(kind: std::ffi::c_ulong) -> std::ffi::c_ulong;
    }

    /// A shared library that stays open.
    pub(crate) struct Library(*mut c_void);

    impl Library {
        /// Opens a library and makes its symbols visible to libraries that are opened later: code
        /// in images calls functions of libjulia by name only.
        pub(crate) fn open(path: &Path) -> Result<Self, String> {
            let name = [path.as_os_str().as_bytes(), b"\0"].concat();
            // SAFETY: the name ends with a zero byte; dlerror returns null or a string that lives
            // until the next call.
            unsafe {
                let library = dlopen(name.as_ptr().cast(), RTLD_LAZY | RTLD_GLOBAL);
                if !library.is_null() {
                    return Ok(Self(library));
                }
                let reason = dlerror();
                let reason = match reason.is_null() {
                    true => "unknown reason".into(),
                    false => CStr::from_ptr(reason).to_string_lossy().into_owned(),
                };
                Err(format!("cannot load {}: {reason}", path.display()))
            }
        }

        /// Returns the address of a symbol.
        pub(crate) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
            // SAFETY: the library is open, and the name ends with a zero byte.
            let address = unsafe { dlsym(self.0, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        }
    }

    /// Returns the arguments of `main`.
    ///
    /// # Safety
    ///
    /// `argv` must point to `argc` C strings.
    pub(crate) unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
        // SAFETY: guaranteed by the caller.
        unsafe { words(usize::try_from(argc).unwrap_or(0), argv) }
    }

    /// Copies an array of C strings.
    ///
    /// # Safety
    ///
    /// `array` must point to `count` C strings.
    pub(crate) unsafe fn words(count: usize, array: *const *const c_char) -> Vec<OsString> {
        (0..count)
            .map(|index| {
                // SAFETY: guaranteed by the caller.
                let word = unsafe { CStr::from_ptr(*array.add(index)) };
                OsString::from_vec(word.to_bytes().to_owned())
            })
            .collect()
    }

    /// Returns a text as bytes for Julia, which are UTF-8 unless the user typed something else.
    pub(crate) fn utf8(text: &OsStr) -> Vec<u8> {
        text.as_bytes().to_owned()
    }

    /// Returns the path that this executable was started with, for systems without `/proc`.
    pub(super) fn started_as(called: Option<&Path>) -> Option<PathBuf> {
        #[cfg(target_os = "linux")]
        {
            const AT_EXECFN: std::ffi::c_ulong = 31;
            // SAFETY: getauxval has no preconditions; AT_EXECFN is null or a string that lives as long
            // as the process.
            let path = unsafe {
                let path =
                    std::ptr::with_exposed_provenance::<c_char>(getauxval(AT_EXECFN) as usize);
                (!path.is_null()).then(|| CStr::from_ptr(path).to_bytes().to_owned())
            };
            if let Some(path) = path {
                return Some(PathBuf::from(OsString::from_vec(path)));
            }
        }
        called.map(Path::to_owned)
    }

    pub(super) fn without_prefix(path: PathBuf) -> PathBuf {
        path
    }

    /// Whether standard output is a pipe or socket whose reader has closed it.
    pub(crate) fn output_is_broken() -> bool {
        let mut output = PollFd {
            fd: 1,
            events: 4,
            revents: 0,
        };
        // SAFETY: the pointer is to one structure, and the call does not wait.
        unsafe { poll(&raw mut output, 1, 0) > 0 && output.revents & POLLERR != 0 }
    }

    /// Ends the process by SIGPIPE, like a program that writes to a closed pipe.
    pub(crate) fn die_of_broken_pipe() -> i32 {
        // SAFETY: Julia has finished; the default action of the signal ends the process, and if it is
        // blocked, `_exit` does.
        unsafe {
            signal(SIGPIPE, SIG_DFL);
            raise(SIGPIPE);
            _exit(128 + SIGPIPE)
        }
    }
}

#[cfg(windows)]
mod windows {
    use super::*;
    use std::os::windows::ffi::OsStrExt;

    pub(crate) const PATH_LIST_SEPARATOR: &str = ";";

    /// Looks for the library's own dependencies in its folder first.
    const LOAD_WITH_ALTERED_SEARCH_PATH: u32 = 8;

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn LoadLibraryExW(path: *const u16, file: *mut c_void, flags: u32) -> *mut c_void;
        fn SetThreadErrorMode(mode: u32, old: *mut u32) -> i32;
        fn GetProcAddress(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }

    /// A missing DLL is an error of this program, not a dialog.
    const SEM_FAILCRITICALERRORS: u32 = 1;

    /// A DLL that stays loaded.
    pub(crate) struct Library(*mut c_void);

    impl Library {
        /// Loads a DLL.
        pub(crate) fn open(path: &Path) -> Result<Self, String> {
            // The folder of a path with slashes would not be searched.
            let path: PathBuf = path.components().collect();
            let name: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
            let mut mode = 0;
            // SAFETY: the name ends with a zero, the reserved argument is null, and `mode` is live.
            let (library, reason) = unsafe {
                SetThreadErrorMode(SEM_FAILCRITICALERRORS, &raw mut mode);
                let library = LoadLibraryExW(
                    name.as_ptr(),
                    std::ptr::null_mut(),
                    LOAD_WITH_ALTERED_SEARCH_PATH,
                );
                let reason = std::io::Error::last_os_error();
                SetThreadErrorMode(mode, std::ptr::null_mut());
                (library, reason)
            };
            if library.is_null() {
                return Err(format!("cannot load {}: {reason}", path.display()));
            }
            Ok(Self(library))
        }

        /// Returns the address of a symbol.
        pub(crate) fn symbol(&self, name: &CStr) -> Option<*mut c_void> {
            // SAFETY: the library is loaded, and the name ends with a zero byte.
            let address = unsafe { GetProcAddress(self.0, name.as_ptr()) };
            (!address.is_null()).then_some(address)
        }
    }

    /// Returns the arguments from the system, in UTF-16; those of `main` are in the code page.
    ///
    /// # Safety
    ///
    /// None: the arguments are not used. The signature is the one for Unix.
    pub(crate) unsafe fn arguments(_: c_int, _: *const *const c_char) -> Vec<OsString> {
        std::env::args_os().collect()
    }

    /// Copies an array of C strings in UTF-8.
    ///
    /// # Safety
    ///
    /// `array` must point to `count` C strings.
    pub(crate) unsafe fn words(count: usize, array: *const *const c_char) -> Vec<OsString> {
        (0..count)
            .map(|index| {
                // SAFETY: guaranteed by the caller.
                let word = unsafe { CStr::from_ptr(*array.add(index)) };
                word.to_string_lossy().into_owned().into()
            })
            .collect()
    }

    /// Returns a text in UTF-8; an unpaired surrogate becomes U+FFFD.
    pub(crate) fn utf8(text: &OsStr) -> Vec<u8> {
        text.to_string_lossy().into_owned().into_bytes()
    }

    pub(super) fn started_as(called: Option<&Path>) -> Option<PathBuf> {
        called.map(Path::to_owned)
    }

    /// Removes the prefix of `\\?\C:\x`, which Julia does not understand.
    pub(super) fn without_prefix(path: PathBuf) -> PathBuf {
        let text = path.to_string_lossy();
        match text.strip_prefix(r"\\?\") {
            Some(rest) if rest.as_bytes().get(1) == Some(&b':') => PathBuf::from(rest),
            Some(rest) => match rest.strip_prefix(r"UNC\") {
                Some(share) => PathBuf::from(format!(r"\\{share}")),
                None => path,
            },
            None => path,
        }
    }

    /// Windows has no signal for a closed pipe.
    pub(crate) fn output_is_broken() -> bool {
        false
    }

    pub(crate) fn die_of_broken_pipe() -> i32 {
        1
    }
}
