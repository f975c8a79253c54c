"""Julias to link against: the real one for Linux; elsewhere stubs of libjulia, in the layouts of
Julia 1.5 (one library) and 1.10 (a loader, and the rest in libjulia-internal). Each folder says
by its name that it is a stub."""

import shutil

# Symbols of libjulia that are data; all others are functions.
DATA = {
    "jl_RTLD_DEFAULT_handle",
    "jl_diverror_exception",
    "jl_emptytuple",
    "jl_false",
    "jl_true",
    "jl_undefref_exception",
    "jl_world_counter",
}

# What Julia includes in `lib` on Windows since 1.9, so that its lld needs no toolchain.
WINDOWS_LIBRARIES = ["libgcc.a", "libmingw32.a", "libmingwex.a", "libmsvcrt.a", "libkernel32.a"]


class Layouts:
    def __init__(self, tools, work, symbols):
        self.tools = tools
        self.work = work / "julias"
        # __sigsetjmp is glibc's; code lowered from Linux asks for it everywhere.
        self.symbols = [s for s in symbols if s.startswith("jl_") or s == "__sigsetjmp"]

    def _folder(self, name, version):
        folder = self.work / f"julia-{version}-{name}-stub"
        shutil.rmtree(folder, ignore_errors=True)
        for sub in ["bin", "lib/julia", "libexec/julia", "include/julia"]:
            (folder / sub).mkdir(parents=True)
        header = folder / "include/julia/julia_version.h"
        header.write_text(f'#define JULIA_VERSION_STRING "{version}"\n')
        return folder

    def _source(self, names):
        lines = [f"void *{n};" if n in DATA else f"void {n}(void) {{}}" for n in names]
        path = self.work / "stub.c"
        path.write_text("\n".join(lines) + "\n")
        return path

    def _libraries(self, new):
        """(name, symbols, private) of each library of the generation."""
        if not new:
            return [("julia", self.symbols, False)]
        return [("julia", ["jl_init"], False), ("julia-internal", self.symbols, True)]

    def windows(self, version):
        new = version != "1.5.3"
        folder = self._folder("windows-x86_64", version)
        gcc = "x86_64-w64-mingw32-gcc"
        for name, symbols, _ in self._libraries(new):
            definition = self.work / "stub.def"
            exports = "\n".join(f"{s} DATA" if s in DATA else s for s in symbols)
            definition.write_text(f"LIBRARY lib{name}.dll\nEXPORTS\n{exports}\n")
            self.tools.run(
                gcc, "-w", "-fno-builtin", "-shared", self._source(symbols), definition,
                "-o", folder / f"bin/lib{name}.dll",
                f"-Wl,--out-implib,{folder}/lib/lib{name}.dll.a",
            )
        if new:
            for library in WINDOWS_LIBRARIES:
                path = self.tools.run(gcc, f"-print-file-name={library}").strip()
                shutil.copy(path, folder / "lib")
        return folder

    def macos(self, version):
        new = version != "1.5.3"
        folder = self._folder("macos", version)
        number = "1.10" if new else "1"
        for name, symbols, private in self._libraries(new):
            listed = ", ".join(f"'_{s}'" for s in symbols)
            path = folder / ("lib/julia" if private else "lib") / f"lib{name}.tbd"
            path.write_text(
                "--- !tapi-tbd\ntbd-version: 4\n"
                "targets: [ x86_64-macos, arm64-macos ]\n"
                f"install-name: '@rpath/lib{name}.{number}.dylib'\n"
                "exports:\n  - targets: [ x86_64-macos, arm64-macos ]\n"
                f"    symbols: [ {listed} ]\n...\n"
            )
        return folder

    def linux(self, version, arch="x86_64", gcc="gcc", lld=None):
        """With `lld`, a program of this machine, where Julia 1.9 and later keep theirs."""
        new = version != "1.5.3"
        folder = self._folder(f"linux-{arch}", version)
        number = ".".join(version.split(".")[:2]) if new else "1"
        for name, symbols, private in self._libraries(new):
            path = folder / ("lib/julia" if private else "lib") / f"lib{name}.so"
            symbols = [s for s in symbols if s != "__sigsetjmp"]
            self.tools.run(
                gcc, "-w", "-fno-builtin", "-shared", "-fPIC", self._source(symbols),
                f"-Wl,-soname,lib{name}.so.{number}", "-o", path,
            )
        if not lld:
            return folder
        # Julia includes the compiler's support library as well.
        libgcc = self.tools.run(gcc, "-print-file-name=libgcc_s.so.1").strip()
        shutil.copy(libgcc, folder / "lib/julia")
        (folder / "libexec/julia/lld").symlink_to(lld)
        return folder
