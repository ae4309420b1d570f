"""`python -m tests.planted`: plants at every place, and says where something came out."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.planted.hunt import hunt


def main() -> int:
    """1 when a secret came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--few", action="store_true", help="a few of each kind")
    parser.add_argument("--keep", action="store_true", help="keeps all files")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="convtui-planted-"))
    found = hunt(folder, many=not options.few, seed=options.seed)
    print(found)
    for line in (*found.problems, *found.leaks):
        print(f"  {line}")
    if found.leaks or found.problems or options.keep:
        print(f"the files are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if found.leaks or found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
