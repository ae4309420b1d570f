"""`make bench`: a table of ratios and margins, each measured in this one run; writes bench.json.

What has become slower since the last run is named.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from convtui.config.paths import write_state
from tests.bench import (
    batch_results,
    batches,
    costs,
    fleet,
    hosting,
    importing,
    library,
    liveness,
    rehooking,
    replaying,
    startup,
)
from tests.bench.history import History, machine, worse
from tests.bench.measure import Row, table, write_json


def _groups(home: Path, *, quick: bool) -> dict[str, Callable[[], list[Row]]]:
    """What can be measured, by name."""

    def folder(name: str) -> Path:
        place = home / name
        place.mkdir()
        # The hint for newcomers was seen already.
        write_state(place / "state" / "state.json", {"hinted": True})
        return place

    return {
        "startup": lambda: startup.rows(folder("startup"), 3 if quick else 7),
        "replay": lambda: replaying.rows(folder("replay"), 5 if quick else 25),
        "liveness": lambda: liveness.rows(folder("liveness"), 8 if quick else 40),
        "turn": lambda: costs.per_turn(folder("turn"), 5 if quick else 11),
        "growth": lambda: [costs.growth(folder("growth"), 500 if quick else 2000)],
        "long": lambda: costs.long_talk(folder("long"), 400 if quick else 2000),
        "fleet": lambda: fleet.rows(folder("fleet"), 3 if quick else 7),
        "library": lambda: library.rows(folder("library"), 3 if quick else 7),
        "import": lambda: importing.rows(folder("import"), 1 if quick else 5),
        "pipeline": lambda: [costs.throughput(5)],
        "results": lambda: batch_results.rows(folder("results"), 1 if quick else 5),
        "rehook": lambda: rehooking.rows(folder("rehook"), 1 if quick else 5),
        "batches": lambda: batches.rows(
            folder("batches"), 1 if quick else 5, many=400 if quick else 1000
        ),
        "hosting": lambda: hosting.rows(folder("hosting"), 1 if quick else 5),
        "warm": lambda: [costs.warm_start(folder("warm"), 1 if quick else 5)],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measures and prints; 1 when a bar is not met."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute, more noise")
    parser.add_argument("--only", metavar="NAME", action="append", help="one group; repeatable")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument(
        "--history",
        type=Path,
        default=Path("bench-history"),
        metavar="DIR",
        help="keeps what every run has measured, to compare the next one with",
    )
    options = parser.parse_args(arguments)
    # Who installs the program has it compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="convtui-bench-", ignore_cleanup_errors=True) as home:
        groups = _groups(Path(home), quick=options.quick)
        unknown = set(options.only or ()) - set(groups)
        if unknown:
            parser.error(f"no such group: {', '.join(unknown)}; there are {', '.join(groups)}")
        for name in options.only or groups:
            sys.stderr.write(f"measuring {name} ...\n")
            try:
                rows += groups[name]()
            except Exception as error:
                # One broken measurement must not hide the others.
                sys.stderr.write(f"{error}\n")
                message = str(error).split("\n", 1)[0][:90]
                rows.append(Row(f"{name}: failed", 1, unit="failure", bar=0, note=message))
    seconds = time.monotonic() - started
    history, kind = History(options.history), machine()
    changes = worse(rows, history.last(kind, quick=options.quick))
    history.add(rows, kind, quick=options.quick)
    write_json(rows, options.json, seconds=seconds, worse=[change.row.what for change in changes])
    missed = sum(row.met is False for row in rows)
    print(table(rows))
    print(f"\n{len(rows)} rows, {missed} bars missed, {seconds:.0f} s; also in {options.json}")
    if changes:
        print(f"\nWorse by more than a fifth than last on {kind}:")
    for change in changes:
        print(f"  {change}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
