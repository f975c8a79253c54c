"""The programs that the lab needs: found, or installed, or skipped with a reason."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

# The Debian package of each program.
PACKAGES = {
    "gcc": "gcc",
    "clang": "clang",
    "llc": "llvm",
    "llvm-ar": "llvm",
    "llvm-dis": "llvm",
    "llvm-nm": "llvm",
    "llvm-readelf": "llvm",
    "llvm-readobj": "llvm",
    "llvm-objdump-19": "llvm-19",
    "lld-19": "lld-19",
    "ld.lld": "lld",
    "ld64.lld-19": "lld-19",
    "lld-link": "lld",
    "mold": "mold",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "x86_64-w64-mingw32-gcc": "gcc-mingw-w64-x86-64",
    "wine": "wine wine64",
}


def say(text):
    print(f"link-lab: {text}", file=sys.stderr, flush=True)


class Tools:
    """Finds programs by name; `skipped` says which could not be had, and why."""

    def __init__(self, work):
        self.work = work
        self.skipped = {}
        self._tried = False
        # pip, Wine and zig need a home folder, but not the user's.
        home = work / "home"
        home.mkdir(parents=True, exist_ok=True)
        self.environment = dict(os.environ, HOME=str(home), LC_ALL="C.UTF-8")
        self.environment.update(WINEDEBUG="-all", WINEPREFIX=str(work / "wine"))
        self.environment.update(XDG_CACHE_HOME=str(home / "cache"))
        self.environment.pop("JULIA_CC", None)

    def install(self, programs):
        """Installs what is missing of `programs`, in one go."""
        missing = [p for p in programs if not shutil.which(p)]
        packages = sorted({w for p in missing for w in PACKAGES[p].split()})
        if not packages:
            return
        prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if not shutil.which("apt-get") or (prefix and not shutil.which("sudo")):
            return
        say(f"installing {' '.join(packages)}")
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        apt = prefix + ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]
        subprocess.run(apt + ["update"], **quiet)
        done = subprocess.run(apt + ["install", "-y", "--no-install-recommends"] + packages, **quiet)
        if done.returncode != 0:
            # One package that this release lacks must not prevent the others from being installed.
            for package in packages:
                subprocess.run(apt + ["install", "-y", "--no-install-recommends", package], **quiet)

    def have(self, program):
        """The program's path, or None with the reason noted."""
        path = shutil.which(program)
        if not path:
            self.skipped[program] = f"not installed (Debian: {PACKAGES.get(program, '?')})"
        return path

    def zig(self):
        """A command that is `zig cc`, or None."""
        python = self.work / "venv/bin/python3"
        check = [str(python), "-m", "ziglang", "version"]
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not python.exists():
                venv.create(self.work / "venv", with_pip=True)
            if subprocess.run(check, env=self.environment, **quiet).returncode != 0:
                say("installing ziglang")
                pip = [str(python), "-m", "pip", "-q", "install", "ziglang"]
                subprocess.run(pip, env=self.environment, check=True, **quiet)
            subprocess.run(check, env=self.environment, check=True, **quiet)
        except (OSError, subprocess.CalledProcessError) as error:
            self.skipped["zig"] = f"could not be installed from PyPI ({error})"
            return None
        return [str(python), "-m", "ziglang", "cc"]

    def run(self, *command, **options):
        """Runs a command that must succeed, and returns its standard output."""
        options.setdefault("env", self.environment)
        command = [str(word) for word in command]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", **options)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout


def find_julia(work, given, root):
    """The folder of a real Julia: the given one, or Debian's out of the mirror that
    ci/julia-mirror makes (or has made: SYSFORGE_TEST_MIRROR)."""
    if given:
        return Path(given).resolve()
    unpacked = work / "julia"
    if not (unpacked / "bin/julia").exists():
        mirror = Path(os.environ.get("SYSFORGE_TEST_MIRROR") or work / "mirror")
        command = [str(root / "ci/julia-mirror"), str(mirror)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        archive = next((mirror / "bin").glob("**/julia-1.5.3-*.tar.gz"))
        unpacked.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["tar", "-xzf", str(archive), "-C", str(unpacked), "--strip-components=1"], check=True
        )
    return unpacked
