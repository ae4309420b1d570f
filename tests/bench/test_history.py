"""The history of the benchmark: what it keeps, and what it calls worse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import history
from tests.bench.history import History, worse
from tests.bench.measure import Row

HERE = "Linux x86_64, 2 cores, Python 3.11"


def compared(folder: Path, before: Row, now: Row) -> list[str]:
    """The words for what is worse now."""
    kept = History(folder)
    kept.add([before], HERE, quick=False)
    return [str(change) for change in worse([now], kept.last(HERE, quick=False))]


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (Row("list", 1.0), Row("list", 1.19), []),
        (Row("list", 1.0), Row("list", 1.5), ["list: 1.50 s, before 1.00 s (+50%)"]),
        (Row("list", 1.0), Row("list", 0.1), []),
        (Row("list", 1.0), Row("search", 9.0), []),
        (Row("list", 0.0), Row("list", 1.0), []),
        (
            Row("memory", 50, unit="MB"),
            Row("memory", 100, unit="MB"),
            ["memory: 100 MB, before 50 MB (+100%)"],
        ),
        # The machine was busy, or the reference was lucky.
        (Row("key", 1.0, reference=1.0), Row("key", 2.0, reference=2.0), []),
        (Row("key", 1.0, reference=1.0), Row("key", 1.0, reference=0.5), []),
        (
            Row("key", 1.0, reference=1.0),
            Row("key", 2.0, reference=1.0),
            ["key: 2.00 s, before 1.00 s (+100%)"],
        ),
        # More of it is better.
        (Row("rate", 10, unit="t/s", bar_is="at least"), Row("rate", 30, bar_is="at least"), []),
        (
            Row("rate", 300, unit="t/s", bar_is="at least"),
            Row("rate", 150, unit="t/s", bar_is="at least"),
            ["rate: 150 t/s, before 300 t/s (-50%)"],
        ),
    ],
)
def test_what_is_worse_by_more_than_a_fifth_is_named(
    tmp_path: Path, before: Row, now: Row, said: list[str]
) -> None:
    assert compared(tmp_path, before, now) == said


def test_the_worst_stands_first(tmp_path: Path) -> None:
    kept = History(tmp_path)
    kept.add([Row("a", 1.0), Row("b", 1.0), Row("c", 1.0)], HERE, quick=False)
    now = [Row("a", 2.0), Row("b", 4.0), Row("c", 3.0)]
    changes = worse(now, kept.last(HERE, quick=False))
    assert [change.row.what for change in changes] == ["b", "c", "a"]


def test_a_run_is_compared_with_the_last_of_its_kind_that_has_the_row(tmp_path: Path) -> None:
    kept = History(tmp_path / "deep" / "folder")
    assert kept.last(HERE, quick=False) == {}
    kept.add([Row("list", 1.0), Row("key", 3.0, reference=2.0)], HERE, quick=False)
    kept.add([Row("list", 2.0), Row("rehook: failed", 1, unit="failure")], HERE, quick=False)
    kept.add([Row("list", 8.0)], HERE, quick=True)
    kept.add([Row("list", 9.0)], "another machine", quick=False)
    figures = kept.last(HERE, quick=False)
    assert {what: figure.measured for what, figure in figures.items()} == {"list": 2.0, "key": 3.0}
    assert figures["key"].ratio == 1.5


def test_the_oldest_runs_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    kept = History(tmp_path)
    for number in range(5):
        kept.add([Row(f"row {number}", 1.0)], HERE, quick=False)
    assert list(kept.last(HERE, quick=False)) == ["row 2", "row 3", "row 4"]
    assert len(kept.file.read_text().splitlines()) == 3
    assert [file.name for file in tmp_path.iterdir()] == [kept.file.name]


def test_lines_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    kept = History(tmp_path)
    kept.add([Row("list", 1.0)], HERE, quick=False)
    odd = [
        "{torn",
        "[]",
        json.dumps({"machine": HERE, "quick": False, "rows": 7}),
        json.dumps({"machine": HERE, "quick": False, "rows": {"list": None, "key": {}}}),
    ]
    kept.file.write_text(kept.file.read_text() + "\n".join(odd))
    assert {what: figure.measured for what, figure in kept.last(HERE, quick=False).items()} == {
        "list": 1.0
    }
    kept.add([Row("list", 2.0)], HERE, quick=False)
    assert kept.last(HERE, quick=False)["list"].measured == 2.0


def test_a_run_of_the_benchmark_is_compared_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    took = 1.0
    monkeypatch.setattr(bench, "_groups", lambda *_, **__: {"group": lambda: [Row("a step", took)]})
    arguments = ["--json", str(tmp_path / "bench.json"), "--history", str(tmp_path / "kept")]
    assert bench.main(arguments) == 0
    assert "Worse" not in capsys.readouterr().out
    took = 3.0
    assert bench.main(arguments) == 0
    assert "a step: 3.00 s, before 1.00 s (+200%)" in capsys.readouterr().out
    assert json.loads((tmp_path / "bench.json").read_text())["worse"] == ["a step"]
    assert len((tmp_path / "kept" / history.FILE).read_text().splitlines()) == 2
