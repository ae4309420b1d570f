"""`make fuzz`: damaged logs and foreign files through everything that reads them.

Exit code 1 where anything failed; the smallest file of each failure is kept, with its traceback.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.fuzzing import Failure, Figures, fuzz, smaller
from tests.fuzz.samples import Sample, files, logs


def main() -> int:
    """Runs it and says what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="how many damaged files")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--only", type=int, help="one file by its number, through all readers")
    parser.add_argument("--readers", type=int, default=4, help="how many read each file")
    parser.add_argument("--minutes", type=float, default=1e9, help="begins none after so long")
    parser.add_argument("--samples", type=Path, help="a folder of more files to damage")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="convtui-fuzz-") as name:
        folder = Path(name)
        os.environ["CONVTUI_HOME"] = str(folder / "home")
        samples = [*logs(folder), *files(folder)]
        if options.samples is not None:
            samples += _more(options.samples, samples[-1])
        figures = Figures()
        named: set[str] = set()
        numbers = range(options.count) if options.only is None else [options.only]
        begun = told = time.monotonic()
        for figures in fuzz(
            samples,
            numbers,
            seed=options.seed,
            folder=folder / "work",
            readers=options.readers if options.only is None else 99,
            rarely=0.01 if options.only is None else 1.0,
            until=begun + options.minutes * 60,
        ):
            for place in figures.failures.keys() - named:
                named.add(place)
                print(f"failed: {place}", flush=True)
                _write(figures.failures[place], figures.failures[place].data, options)
            if time.monotonic() - told > 15:
                told = time.monotonic()
                print(f"{figures.files:,} files, {len(figures.failures)} failures", flush=True)
        _say(figures, time.monotonic() - begun)
        readers = {reader.name: reader for sample in samples for reader in sample.readers}
        for failure in figures.failures.values():
            data = smaller(failure, readers[failure.reader], folder / "work")
            _write(failure, data, options)
        if figures.failures:
            print(f"kept in {options.keep}")
    return 1 if figures.failures else 0


def _more(folder: Path, like: Sample) -> list[Sample]:
    endings = (".json", ".jsonl", ".db", ".txt")
    return [
        Sample(f"file {path.name}", path.read_bytes(), like.readers, path.suffix)
        for path in sorted(folder.rglob("*"))
        if path.suffix in endings and path.is_file() and path.stat().st_size < 200_000
    ]


def _say(figures: Figures, seconds: float) -> None:
    print(f"\n{figures.files:,} damaged files, {figures.runs:,} runs in {seconds:,.0f} s")
    print(f"slowest: {figures.slowest[0]:.2f} s ({figures.slowest[1]})")
    for title, counted in (("damages", figures.damages), ("readers", figures.readers)):
        print(f"{title}: " + ", ".join(f"{name} {n:,}" for name, n in counted.most_common()))
    print(f"failures: {len(figures.failures)} places, {sum(figures.failed.values()):,} runs")
    for place, count in figures.failed.most_common():
        failure = figures.failures[place]
        print(f"  {count:5,}  {place}  ({failure.reader}; {failure.damage}; {failure.sample})")


def _write(failure: Failure, data: bytes, options: argparse.Namespace) -> None:
    """The file that failed, and how it did."""
    options.keep.mkdir(exist_ok=True)
    stem = options.keep / re.sub(r"[^A-Za-z0-9.]+", "-", failure.place)[:100]
    Path(f"{stem}{failure.ending}").write_bytes(data)
    again = f"--seed {options.seed} --only {failure.number}"
    head = f"{again}\n{failure.reader}: {failure.damage} of {failure.sample}\n\n"
    Path(f"{stem}.trace").write_text(head + failure.trace, encoding="utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main())
