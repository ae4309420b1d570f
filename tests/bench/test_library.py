"""The logs that the library is measured with are ones that a run could have left."""

from __future__ import annotations

from pathlib import Path

from convtui.filters.filter import parse
from convtui.library.library import Library
from convtui.log.reader import open_log
from tests.bench.library import NEEDLE, name, write


def test_the_runs_of_the_library_are_whole(tmp_path: Path) -> None:
    write(tmp_path, 60, turns=6)
    for number in (0, 1, 7, 59):
        with open_log(tmp_path / f"{name(number)}.jsonl") as log:
            assert log.findings == []
            assert len(log.transcript.turns) == 6
            assert log.transcript.counts.get("(malformed)", 0) == 0
    library = Library(tmp_path)
    runs = library.runs(turns=True)
    assert len(runs) == 60
    assert [run.state for run in runs].count("crashed") == 1
    found = library.search(parse(NEEDLE), runs)
    assert [run.name for run in found] == [f"{name(0)}.jsonl"]
    assert len(library.search(parse("~signal"), runs)) == 3
    assert [run.tokens for run in found] == [3600]
