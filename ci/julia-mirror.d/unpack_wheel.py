"""Usage: unpack_wheel.py WHEEL PREFIX

Unpacks the Julia runtime that a wheel carries into a prefix with the layout of an official Julia.
A wheel cannot hold symbolic links, so that it has most libraries under three names: the copies
become links to the file with the longest name again. Mosek's library, which is not free software,
stays empty."""

import hashlib
import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

RUNTIME = PurePosixPath("PMPC.jl/pmpcjl")


def place(name):
    """Where a file of the runtime belongs in the prefix, or None."""
    parts = name.parts
    if parts == ("lib", "libPMPC.so"):
        return "lib/julia/sys.so"
    is_artifact = parts[:3] == ("share", "julia", "artifacts")
    is_library = parts[-2:-1] == ("lib",) and ".so" in name.name
    if parts[0] == "lib" or name.name == "cert.pem" or (is_artifact and is_library):
        return name
    return None


def main(wheel, prefix):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            path = PurePosixPath(entry.filename)
            if entry.is_dir() or path.parts[: len(RUNTIME.parts)] != RUNTIME.parts:
                continue
            to = place(path.relative_to(RUNTIME))
            if to is None:
                continue
            file = Path(prefix, to)
            file.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, file.open("wb") as target:
                if "libmosek64" not in file.name:
                    shutil.copyfileobj(source, target, 1 << 20)
            file.chmod(0o755 if ".so" in file.name else 0o644)
    for folder in {file.parent for file in Path(prefix).rglob("*.so*")}:
        link_copies(folder)


def link_copies(folder):
    """Replaces the copies of a library by links to the one with the longest name."""
    originals = {}
    for file in sorted(folder.glob("*.so*"), key=lambda file: (-len(file.name), file.name)):
        digest = hashlib.sha256(file.read_bytes()).digest()
        original = originals.setdefault((file.name.split(".so")[0], digest), file.name)
        if original != file.name:
            file.unlink()
            file.symlink_to(original)


main(*sys.argv[1:])
