"""One link by Sysforge, measured, and looked at by others."""

import json
import os
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Case:
    """What is linked, and how."""

    target: str  # for the table, e.g. `windows x86_64`
    julia: str  # for the table, e.g. `1.5 stub`
    triplet: str
    folder: Path
    version: str
    objects: list
    output: str
    how: list  # `--linker …` or `--cc …`
    note: str = ""
    load: bool = False
    small: bool = True


@dataclass
class Result:
    case: Case
    receipt: dict
    seconds: float  # wall time of the whole command
    peak: int  # bytes, of Sysforge and its children: the largest of them
    own_peak: int  # bytes, of Sysforge itself
    image: Path
    opinions: list = field(default_factory=list)

    @property
    def wall(self):
        return self.receipt["wall_seconds"]


class Failed(Exception):
    """Something that ran was not right."""


class Linker:
    def __init__(self, tools, sysforge, work):
        self.tools = tools
        self.sysforge = sysforge
        self.work = work / "images"
        self.work.mkdir(parents=True, exist_ok=True)

    def link(self, case):
        # A path with unusual characters.
        image = self.work / "a path with spaces, ü" / case.output
        command = [self.sysforge, "link", *case.objects, "--triplet", case.triplet]
        command += ["--julia", case.folder, "--julia-version", case.version]
        command += ["--out", image, "--json", *case.how]
        return self.measured(case, image, command)

    def measured(self, case, image, command):
        started = time.monotonic()
        child = subprocess.Popen(
            [str(word) for word in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.tools.environment,
        )
        own = PeakOf(child.pid)
        said = []
        reader = threading.Thread(target=lambda: said.append(child.stderr.read()))
        reader.start()
        out = child.stdout.read()
        own.stop()
        # The peak of the largest of the child and what it waited for, in KiB on Linux.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        reader.join()
        if child.returncode != 0:
            message = said[0].decode(errors="replace")
            raise Failed(f"exit code {child.returncode}\n{message}")
        return Result(
            case=case,
            receipt=json.loads(out),
            seconds=time.monotonic() - started,
            peak=usage.ru_maxrss * 1024,
            own_peak=own.bytes,
            image=image,
        )

    def refused(self, image, case):
        """Whether Sysforge refuses an image that was linked without the whole-archive flag."""
        command = [self.sysforge, "link", "--inspect", image, "--triplet", case.triplet]
        command += ["--julia", case.folder, "--julia-version", case.version]
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            text=True,
            env=self.tools.environment,
        )
        return done.returncode == 4 and "does not export `jl_system_image_data`" in done.stderr


class PeakOf:
    """Samples the high-water mark of one process (VmHWM) until told to stop."""

    def __init__(self, pid):
        self.bytes = 0
        self._status = Path(f"/proc/{pid}/status")
        self._going = True
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self):
        while self._going:
            try:
                found = re.search(r"VmHWM:\s+(\d+)", self._status.read_text())
            except OSError:
                return
            if found:
                self.bytes = max(self.bytes, int(found[1]) * 1024)
            time.sleep(0.01)

    def stop(self):
        self._going = False
        self._thread.join()


def second_opinion(tools, result):
    """Compares what Sysforge says of an image with what LLVM's tools say of it."""
    seen = result.receipt["inspection"]
    image = str(result.image)
    if seen["format"] == "pe":
        text = tools.run("llvm-readobj", "--coff-exports", "--coff-imports", image)
        exports = set(re.findall(r"Export \{\s+Ordinal: \d+\s+Name: (\S+)", text))
        needed = set(re.findall(r"Import \{\s+Name: (\S+)", text))
        extra = []
    elif seen["format"] == "elf":
        text = tools.run("llvm-readelf", "-d", image)
        needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
        extra = re.findall(r"\(SONAME\).*\[(.*)\]", text) == [seen["name"]]
        extra = [] if extra else ["SONAME"]
        symbols = tools.run("llvm-nm", "-D", "--defined-only", image).splitlines()
        exports = {line.split()[-1] for line in symbols}
    else:
        text = tools.run(
            "llvm-objdump-19", "--macho", "--dylib-id", "--dylibs-used", "--rpaths",
            "--exports-trie", image,
        )
        needed = set(re.findall(r"^\t(\S+) \(compat", text, re.M)) - {seen["name"]}
        exports = set(re.findall(r"^0x[0-9A-Fa-f]+\s+_(\S+)", text, re.M))
        wrong = [path for path in seen["run_paths"] if path not in text]
        extra = wrong + ([] if f"\n{seen['name']}\n" in text else ["install name"])
    ours = {name for name in seen["exports"] if not name.startswith("_mh_")}
    exports = {name for name in exports if not name.startswith("_mh_")}
    if exports != ours:
        raise Failed(f"exports differ: {sorted(exports ^ ours)[:8]}")
    if needed != set(seen["needed"]):
        raise Failed(f"needed libraries differ: {sorted(needed ^ set(seen['needed']))}")
    if extra:
        raise Failed(f"LLVM sees it differently: {extra}")
    result.opinions.append("LLVM agrees")


LOADER = r"""
#include <stdio.h>
#include <windows.h>
int main(int count, char **words) {
    wchar_t path[4096];
    MultiByteToWideChar(CP_ACP, 0, words[1], -1, path, 4096);
    HMODULE image = LoadLibraryW(path);
    if (!image) { printf("LoadLibrary: error %lu\n", GetLastError()); return 1; }
    unsigned long long (*call)(void) = (void *)GetProcAddress(image, "lab_checksum");
    if (!call) { printf("lab_checksum is not there\n"); return 1; }
    printf("%llu\n", call());
    return 0;
}
"""


def load_under_wine(tools, result, work):
    """Loads a DLL under Wine and calls the function that sums its data up."""
    loader = work / "load.exe"
    if not loader.exists():
        source = work / "load.c"
        source.write_text(LOADER)
        tools.run("x86_64-w64-mingw32-gcc", source, "-o", loader)
    # A DLL is found in the folder that the program starts in.
    folder = result.image.parent
    for library in (result.case.folder / "bin").glob("*.dll"):
        (folder / library.name).write_bytes(library.read_bytes())
    said = tools.run("wine", loader, result.image.name, cwd=folder).strip()
    result.opinions.append("loaded under Wine")
    return int(said.split()[-1])


def load_in_julia(tools, result, julia):
    """Starts Julia with an ELF image, runs code from it, and calls a function of it."""
    code = (
        "using Dates; @assert Dates.format(Date(2020, 1, 2), \"yyyy\") == \"2020\"; "
        "@assert try error(\"x\") catch e; e.msg end == \"x\"; "
        f"print(ccall((:lab_size, {json.dumps(str(result.image))}), UInt64, ()))"
    )
    command = [julia / "bin/julia", "--startup-file=no", f"--sysimage={result.image}", "-e", code]
    size = int(tools.run(*command))
    if size != result.receipt["inspection"]["data_bytes"]:
        raise Failed(f"the loaded image says that it holds {size} bytes")
    result.opinions.append("loaded by Julia")
