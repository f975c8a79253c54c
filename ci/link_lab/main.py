"""What the lab does, in order."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from .layouts import Layouts
from .links import Case, Failed, Linker, load_in_julia, load_under_wine, second_opinion
from .objects import Objects
from .tools import PACKAGES, Tools, find_julia, say

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "1.5.3", "1.10.8"


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--work")
    parser.add_argument("--julia")
    parser.add_argument("--sysforge")
    options = parser.parse_args()
    if options.help:
        from __main__ import __doc__ as text

        print(text)
        return 0
    if options.work:
        work = Path(options.work).resolve()
        work.mkdir(parents=True, exist_ok=True)
        return Lab(work, options).run()
    with tempfile.TemporaryDirectory(prefix="link-lab-") as work:
        return Lab(Path(work), options).run()


class Lab:
    def __init__(self, work, options):
        self.work = work
        self.small = options.small
        self.tools = Tools(work)
        # The quick half is also small on a new machine.
        unneeded = {"aarch64-linux-gnu-gcc"} if options.small else set()
        self.tools.install([p for p in PACKAGES if p not in unneeded])
        self.julia = find_julia(work, options.julia, ROOT)
        self.linker = Linker(self.tools, options.sysforge or build(), work)
        self.objects = Objects(self.tools, work, self.julia)
        self.zig = None if options.small else self.tools.zig()
        self.results = []
        self.failures = []

    def run(self):
        tools = self.tools
        for needed in ["gcc", "clang", "llc", "llvm-ar", "llvm-nm", "llvm-readelf", "llvm-readobj"]:
            if not tools.have(needed):
                print(f"link-lab: nothing can be tested without {needed}: {tools.skipped[needed]}")
                return 1
        wanted = [("linux-x86_64",), ("windows-x86_64", True), ("macos-x86_64",)]
        if not self.small:
            wanted += [("windows-x86_64",), ("macos-arm64",), ("linux-arm64",)]
        self.objects.prepare(wanted)
        archive = self.objects.archive("windows-x86_64", True)
        self.layouts = Layouts(tools, self.work, self.objects.undefined(archive))
        self.layouts.work.mkdir(parents=True, exist_ok=True)
        for case in self.cases():
            self.one(case)
        self.same_sum()
        self.negatives()
        self.universal_runtime()
        figures = self.figures()
        self.report(figures)
        return 1 if self.failures else 0

    # What is linked.

    def cases(self):
        cases = self.linux() + self.linux_arm64() + self.windows() + self.macos()
        return [case for case in cases if case.small or not self.small]

    def linux(self):
        archive = self.objects.archive("linux-x86_64")
        julia_lld = shutil.which("lld-19") or shutil.which("lld")
        cases = []
        for how in ["driver-lld", "driver-mold", "driver", "zig"]:
            if how == "driver-mold" and not self.tools.have("mold"):
                continue
            if how == "zig" and not self.zig:
                continue
            words = ["--cc", " ".join(self.zig)] if how == "zig" else ["--linker", how]
            for strip in [False, True]:
                cases.append(Case(
                    "linux x86_64", OLD, "x86_64-linux-gnu", self.julia, OLD,
                    [archive, self.objects.extra("linux-x86_64", "1.5")], f"{how}.so",
                    words + (["--strip"] if strip else []), note="stripped" if strip else "",
                    load=True, small=not strip or how == "driver-lld",
                ))
        if julia_lld:
            folder = self.layouts.linux(NEW, lld=julia_lld)
            cases.append(Case(
                "linux x86_64", f"{NEW} stub", "x86_64-linux-gnu", folder, NEW,
                [archive, self.objects.extra("linux-x86_64", "1.10")], "julia-lld.so",
                ["--linker", "julia-lld"],
            ))
        return cases

    def linux_arm64(self):
        """From this machine, for another: by the cross compiler of Debian, and by zig."""
        if self.small or not self.tools.have("aarch64-linux-gnu-gcc"):
            return []
        hows = {how: ["--linker", how] for how in ["driver-lld", "driver-mold", "driver"]}
        if not self.tools.have("mold"):
            del hows["driver-mold"]
        if self.zig:
            hows["zig"] = ["--cc", " ".join(self.zig)]
        cases = []
        for version, generation in [(OLD, "1.5"), (NEW, "1.10")]:
            folder = self.layouts.linux(version, "arm64", "aarch64-linux-gnu-gcc")
            for how, words in hows.items():
                cases.append(Case(
                    "linux arm64", f"{version} stub", "aarch64-linux-gnu", folder, version,
                    [self.objects.archive("linux-arm64"),
                     self.objects.extra("linux-arm64", generation)],
                    f"{how}-arm64-{generation}.so", words,
                ))
        return cases

    def windows(self):
        tools = self.tools
        if not tools.have("x86_64-w64-mingw32-gcc"):
            return []
        gcc = ["--cc", "x86_64-w64-mingw32-gcc"]
        cases = []
        for version, generation in [(OLD, "1.5"), (NEW, "1.10")]:
            folder = self.layouts.windows(version)
            extra = self.objects.extra("windows-x86_64", generation)
            hows = [("lld", ["--linker", "lld"]), ("lld-link", ["--cc", "lld-link"]), ("gcc", gcc)]
            for name, how in hows:
                if name != "gcc" and not tools.have("ld.lld" if name == "lld" else name):
                    continue
                for sections in [True, False]:
                    quick = sections and name != "gcc"
                    if self.small and not (quick and (name == "lld") == (generation == "1.5")):
                        continue
                    if sections and name == "gcc" and generation == "1.10":
                        continue  # minutes, for nothing new
                    archive = self.objects.archive("windows-x86_64", sections)
                    cases.append(Case(
                        "windows x86_64", f"{version} stub", "x86_64-w64-mingw32", folder, version,
                        [archive, extra], f"{name}-{generation}{'-s' if sections else ''}.dll",
                        how, note="a section per function" if sections else "", load=True,
                    ))
        return cases

    def macos(self):
        cases = []
        for arch, triplet in [("x86_64", "x86_64-apple-darwin"), ("arm64", "aarch64-apple-darwin")]:
            if self.small and arch == "arm64":
                continue
            for version, generation in [(OLD, "1.5"), (NEW, "1.10")]:
                folder = self.layouts.macos(version)
                hows = []
                if self.tools.have("ld64.lld-19"):
                    hows.append(("lld", ["--linker", "lld"], ""))
                    hows.append(("lld-strip", ["--linker", "lld", "--strip"], "stripped"))
                if self.zig and generation == "1.5" and arch == "arm64":
                    hows.append(("zig", ["--cc", " ".join(self.zig)], ""))
                for name, how, note in hows:
                    if self.small and (note != "") == (generation == "1.5"):
                        continue
                    cases.append(Case(
                        f"macos {arch}", f"{version} stub", triplet, folder, version,
                        [self.objects.archive(f"macos-{arch}"),
                         self.objects.extra(f"macos-{arch}", generation)],
                        f"{name}-{arch}-{generation}.dylib", how, note=note,
                    ))
        return cases

    # What is done with each.

    def one(self, case):
        title = f"{case.target}, Julia {case.julia}, {' '.join(case.how)[-40:]} {case.note}".strip()
        say(title)
        try:
            result = self.linker.link(case)
            second_opinion(self.tools, result)
            result.sum = None
            if case.load and case.target.startswith("linux"):
                load_in_julia(self.tools, result, self.julia)
            elif case.load and self.tools.have("wine"):
                result.sum = load_under_wine(self.tools, result, self.work)
            self.results.append(result)
        except (Failed, RuntimeError, ValueError) as error:
            self.failures.append(f"{title}: {error}")
            say(f"FAILED: {error}")

    def same_sum(self):
        """Every DLL that could be loaded holds the same data, whichever linker made it."""
        sums = {result.sum for result in self.results if result.sum is not None}
        if len(sums) > 1:
            self.failures.append(f"the images hold different data: {sums}")

    def negatives(self):
        """Images linked without the whole-archive flag, which must be refused."""
        commands = {
            "linux": ["gcc", "-shared", "-nostdlib"],
            "windows": ["x86_64-w64-mingw32-gcc", "-shared"],
            "macos": [
                "ld64.lld-19", "-dylib", "-arch", "x86_64", "-platform_version", "macos", "11.0",
                "11.0", "-undefined", "dynamic_lookup",
            ],
        }
        for system, command in commands.items():
            first = next((r for r in self.results if r.case.target.startswith(system)), None)
            if first is None or not shutil.which(command[0]):
                continue
            image = self.work / f"without-whole-archive-{first.case.output}"
            archive = first.case.objects[0]
            self.tools.run(*command, "-o", image, archive)
            if not self.linker.refused(image, first.case):
                self.failures.append(f"{system}: an image without its archive was not refused")

    def universal_runtime(self):
        """zig compiles for the universal C runtime of Windows; Julia does not use it."""
        cases = [r.case for r in self.results if r.case.target.startswith("windows")]
        if not (self.zig and cases):
            return
        case = Case(**{**vars(cases[0]), "how": ["--cc", " ".join(self.zig)]})
        try:
            self.linker.link(case)
            self.failures.append("windows: a compiler for the universal C runtime was not refused")
        except Failed as error:
            if "exit code 4" not in str(error) or "universal C runtime" not in str(error):
                self.failures.append(f"windows: the universal C runtime: {error}")

    # What is said of it all.

    def pick(self, **wanted):
        return [r for r in self.results if all(getattr(r.case, k) == v for k, v in wanted.items())]

    def figures(self):
        figures = []
        many = self.pick(note="a section per function", julia=f"{OLD} stub")
        slow = [r.wall for r in many if "gcc" in r.case.output]
        fast = [r.wall for r in many if r.case.output.startswith("lld-1")]
        if slow and fast:
            figures.append(("windows_link_speedup", slow[0] / self.again(many, "lld-1"), "ratio"))
        lld = [r for r in self.results if r.case.output == "driver-lld.so" and not r.case.note]
        mold = [r for r in self.results if r.case.output == "driver-mold.so" and not r.case.note]
        if lld and mold:
            default, other = self.alternately(lld[0].case, mold[0].case, 9 if self.small else 25)
            figures.append(("linux_link_over_mold", default / other, "ratio"))
        # What Sysforge selects itself, and separately what only a user's own `--cc` selects.
        for name, chosen in [("link_memory_over_object", False), ("chosen_memory_over_object", True)]:
            ratios = [
                r.peak / sum(o.stat().st_size for o in r.case.objects)
                for r in self.results if ("--cc" in r.case.how) == chosen
            ]
            if ratios:
                figures.append((name, max(ratios), "ratio"))
        if self.results:
            own = max(r.own_peak for r in self.results)
            figures.append(("link_own_memory_mb", own / 1e6, "MB"))
        return figures

    def again(self, results, output):
        """The median of three links more."""
        case = next(r.case for r in results if r.case.output.startswith(output))
        return statistics.median(self.linker.link(case).wall for _ in range(3))

    def alternately(self, default, other, times):
        """Medians of two links, run in turns so that the machine's moods hit both. The first is
        what Sysforge chooses by itself. A link takes tenths of a second, in which a disk that
        still writes what came before is most of what is seen: it may finish first."""
        default = Case(**{**vars(default), "how": []})
        walls = ([], [])
        for _ in range(times):
            for case, into in zip((default, other), walls):
                os.sync()
                into.append(self.linker.link(case).wall)
        return statistics.median(walls[0]), statistics.median(walls[1])

    def report(self, figures):
        print("| target | Julia | linker that ran | strategy | object | link | peak memory | image | proof |")
        print("|---|---|---|---|---:|---:|---:|---:|---|")
        for r in self.results:
            size = sum(o.stat().st_size for o in r.case.objects)
            strategy = r.receipt["strategy"] + (f", {r.case.note}" if r.case.note else "")
            version = r.receipt["linker_version"].split("(")[0].strip()
            print(
                f"| {r.case.target} | {r.case.julia} | {version} | {strategy} "
                f"| {size / 1e6:.0f} MB | {r.wall:.2f} s | {r.peak / 1e6:.0f} MB "
                f"| {r.receipt['inspection']['bytes'] / 1e6:.0f} MB | {', '.join(r.opinions)} |"
            )
        print()
        for name, why in sorted(self.tools.skipped.items()):
            print(f"skipped: {name}: {why}")
        if self.small:
            print("skipped: GNU ld for Windows, arm64, zig: they are in the full lab (ci/link-lab)")
        for failure in self.failures:
            print(f"FAILED: {failure}", file=sys.stderr)
        for name, value, unit in figures:
            print(f"figure {name} {value:.3g} {unit}")


def build():
    """The binary, with optimisation as users have it."""
    say("building sysforge")
    subprocess.run(["cargo", "build", "--release", "-q", "-p", "sysforge"], cwd=ROOT, check=True)
    return ROOT / "target/release/sysforge"
