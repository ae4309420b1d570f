"""Where the tests' files are, however deep the test that asks stands."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
RUNS: Final = ROOT / "sample_runs"
SAMPLES: Final = ROOT / "tests" / "samples"
