"""Objects of real size: a real Julia's bitcode, lowered for each system."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from .tools import say

# In output mode no __init__ runs, so the script restores the state that it needs.
STAGE = """
Base.reinit_stdio()
@eval Sys BINDIR = ccall(:jl_get_julia_bindir, Any, ())::String
@eval Sys STDLIB = joinpath(BINDIR, "..", "share", "julia", "stdlib", "v$(VERSION.major).$(VERSION.minor)")
Base.init_depot_path()
Base.init_load_path()
Base.@ccallable lab_answer()::Cint = Cint(42)
empty!(Core.ARGS); empty!(Base.ARGS); empty!(LOAD_PATH); empty!(DEPOT_PATH)
@eval Sys BINDIR = ""
@eval Sys STDLIB = ""
"""

# Functions that need only the image itself, so that they can be called wherever the image can be
# loaded. (Julia writes into the data when it loads an image; under Wine, nothing does.)
CALL = """
extern const unsigned char jl_system_image_data[];
extern const unsigned long long jl_system_image_size;
unsigned long long lab_size(void) { return jl_system_image_size; }
unsigned long long lab_checksum(void) {
    unsigned long long sum = jl_system_image_size;
    for (unsigned long long i = 0; i < jl_system_image_size; i += 4096)
        sum = sum * 31 + jl_system_image_data[i];
    return sum;
}
"""

# What an image of Julia 1.10 additionally exports, if only the layout is that of 1.10.
POINTERS = "const void *const jl_image_pointers[1] = {0};\n"
ENTRY = "int _DllMainCRTStartup(void *dll, unsigned why, void *rest) { return 1; }\n"

TARGETS = {
    "linux-x86_64": "x86_64-linux-gnu",
    "linux-arm64": "aarch64-linux-gnu",
    "windows-x86_64": "x86_64-w64-windows-gnu",
    "macos-x86_64": "x86_64-apple-macosx11",
    "macos-arm64": "arm64-apple-macosx11",
}


class Objects:
    def __init__(self, tools, work, julia):
        self.tools = tools
        self.work = work / "objects"
        self.work.mkdir(parents=True, exist_ok=True)
        self.julia = julia

    def bitcode(self):
        """The bitcode members of an image, emitted once."""
        folder = self.work / "bitcode"
        if not folder.exists():
            partial = self.work / "bitcode.partial"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            stage = partial / "stage.jl"
            stage.write_text(STAGE)
            julia = str(self.julia / "bin/julia")
            ask = "print(unsafe_string(Base.JLOptions().image_file))"
            base = self.tools.run(julia, "--startup-file=no", "-e", ask)
            say("emitting bitcode (a minute or two)")
            archive = partial / "sys-bc.a"
            self.tools.run(
                julia, "--startup-file=no", f"--output-bc={archive}", f"--sysimage={base}", stage
            )
            self.tools.run("llvm-ar", "x", archive, cwd=partial)
            archive.unlink()
            partial.rename(folder)
        return sorted(folder.glob("*.bc"))

    def archive(self, system, sections=False):
        """An archive of objects for `system`; with a section for each function if asked."""
        archive = self.work / f"{system}{'-sections' if sections else ''}-o.a"
        if not archive.exists():
            say(f"lowering for {system}{' with a section per function' if sections else ''}")
            folder = archive.with_suffix(".partial")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            members = [self.lower(b, system, sections, folder) for b in self.bitcode()]
            partial = folder / "archive.a"
            self.tools.run("llvm-ar", "rc", partial, *members)
            partial.rename(archive)
            shutil.rmtree(folder)
        return archive

    def lower(self, bitcode, system, sections, folder):
        output = folder / f"{bitcode.stem}.o"
        source = bitcode
        if system.endswith("arm64") and bitcode.stat().st_size < 100_000_000:
            source = self.without_x86(bitcode, folder)
        command = ["llc", "-O0", f"-mtriple={TARGETS[system]}", "-relocation-model=pic"]
        if sections:
            command += ["--function-sections", "--data-sections"]
        self.tools.run(*command, "-filetype=obj", source, "-o", output)
        if source != bitcode:
            source.unlink()
        return output

    def without_x86(self, bitcode, folder):
        """The text of the bitcode without what only an x86 understands. Such code links and can
        be looked at; it would not run."""
        path = folder / f"{bitcode.stem}.ll"
        call = re.compile(
            r'call (i8\*|ptr) asm (?:sideeffect )?"[^"]*", "[^"]*"\([^)]*\)(?: #\d+)?'
        )
        pause = re.compile(r'asm sideeffect "pause", "[^"]*"')
        features = re.compile(r' "target-features"="[^"]*"')
        cpu = re.compile(r'"target-cpu"="[^"]*"')
        dis = subprocess.Popen(
            ["llvm-dis", str(bitcode), "-o", "-"], stdout=subprocess.PIPE, text=True
        )
        with path.open("w") as out:
            for line in dis.stdout:
                if " asm " in line:
                    line = call.sub(r"inttoptr i64 0 to \1", line)
                    line = pause.sub('asm sideeffect "", ""', line)
                elif line.startswith("attributes"):
                    line = cpu.sub('"target-cpu"="generic"', features.sub("", line))
                out.write(line)
        if dis.wait() != 0:
            raise RuntimeError("llvm-dis failed")
        return path

    def extra(self, system, generation):
        """The small object that goes with the archive."""
        output = self.work / f"lab-{system}-{generation}.o"
        source = output.with_suffix(".c")
        new = generation == "1.10"
        entry = ENTRY if new and system.startswith("windows") else ""
        source.write_text(CALL + (POINTERS if new else "") + entry)
        flags = ["-c", "-O1", "-ffreestanding", "-fno-stack-protector", "-fPIC"]
        if system.startswith("windows"):
            flags.remove("-fPIC")
        self.tools.run("clang", f"--target={TARGETS[system]}", *flags, source, "-o", output)
        return output

    def prepare(self, wanted):
        """Makes several archives at once, on two processors."""
        self.bitcode()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda each: self.archive(*each), wanted))

    def undefined(self, archive):
        """What an archive needs from elsewhere, in the C spelling."""
        lines = self.tools.run("llvm-nm", "--undefined-only", archive).splitlines()
        return sorted({line.split()[-1] for line in lines if line.strip().startswith("U ")})
