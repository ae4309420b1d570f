"""Which run continues which: trees, circles, lost parents, and many of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from convtui.library.families import (
    RunNode,
    families,
    guides,
    oldest_first,
    only,
    sorted_families,
    walk,
)
from convtui.library.run_order import NEWEST
from convtui.log.run_summary import RunSummary, list_runs, summarise
from tests.builders.conversations import Bot, cut_turn, resume, run, scenario
from tests.tui.harness.family import family
from tests.tui.harness.sample import header, refund, write_log

BEGIN = datetime(2026, 3, 1, 10, tzinfo=UTC)


def made(name: str, parent: str = "", age: int = 0, **more: Any) -> RunSummary:
    """A run that began `age` minutes after the first."""
    values: dict[str, Any] = {
        "file": f"/runs/{name}.jsonl",
        "id": name,
        "parent": parent,
        "parent_file": f"/runs/{parent}.jsonl" if parent else "",
        "created_at": BEGIN + timedelta(minutes=age),
        "modified": float(age),
    }
    return RunSummary(**{**values, **more})


def drawn(branches: list[RunNode]) -> list[str]:
    return [f"{guide}{branch.run.id}" for guide, branch in guides(branches)]


def test_children_stand_below_their_parents_the_oldest_first() -> None:
    runs = [made("e", age=9), made("d", "b", 8), made("c", "a", 7), made("b", "a", 2), made("a")]
    roots = families(runs)
    assert drawn(roots) == ["e", "a", "├─ b", "│  └─ d", "└─ c"]
    first, second = roots
    assert (first.size, second.size) == (0, 3)
    assert second.newest is runs[1]
    assert [branch.depth for branch in walk(roots)] == [0, 0, 1, 2, 1]


def test_the_family_that_was_written_last_stands_first() -> None:
    runs = [made("child", "old", 9), made("new", age=5), made("old")]
    assert [root.run.id for root in families(runs)] == ["old", "new"]


def test_families_are_sorted_by_what_their_one_row_shows() -> None:
    runs = [made("old", tokens=1), made("new", age=5, tokens=2), made("child", "old", 9, tokens=3)]

    def order(by: str) -> list[str]:
        return [root.run.id for root in sorted_families(runs, by)]

    # When the newest run of a family began, and the tokens of its root.
    assert (order(NEWEST), order("when")) == (["old", "new"], ["new", "old"])
    assert (order("-tokens"), order("tokens")) == (["new", "old"], ["old", "new"])
    runs = [made("x", ending="max_turns"), made("y", ending="failed")]
    runs.append(made("child", "x", 9, ending="completed"))
    by_newest = sorted_families(runs, "ending", of_newest=("ending",))
    assert [root.run.id for root in by_newest] == ["x", "y"], "completed, failed"
    assert order("ending") == ["y", "x"], "failed, max_turns"
    same = [made(name, modified=float(n)) for n, name in enumerate("abc")]
    assert [root.run.id for root in sorted_families(same, NEWEST)] == ["a", "b", "c"]


def test_a_run_whose_parent_is_not_there_is_a_root_that_says_so() -> None:
    (root,) = families([made("c", "gone", change="resume", at=(1, 4))])
    assert root.orphan
    assert root.origin() == "resume at 1:4; its parent is not here"


def test_circles_are_cut_at_the_oldest() -> None:
    runs = [made("a", "c", 3), made("b", "a", 1), made("c", "b", 2), made("d", "c", 4)]
    roots = families([*runs, made("self", "self", 5)])
    assert drawn(roots) == ["b", "└─ c", "   ├─ a", "   └─ d", "self"]


def test_runs_without_ids_and_with_the_same_id() -> None:
    copy = made("a", file="/runs/copy.jsonl")
    nameless = [made("", file=f"/runs/n{number}.jsonl") for number in range(2)]
    child = made("b", "a", parent_file="/elsewhere/copy.jsonl")
    by_file = made("f", parent="", parent_file="/runs/n1.jsonl")
    roots = families([made("a"), copy, child, by_file, *nameless])
    assert [(root.run.path.name, [c.run.id for c in root.children]) for root in roots] == [
        ("a.jsonl", []),
        ("copy.jsonl", ["b"]),
        ("n1.jsonl", ["f"]),
        ("n0.jsonl", []),
    ]


def test_only_what_was_found_and_the_way_to_it() -> None:
    roots = families([made("d", "b"), made("c", "a", 2), made("b", "a", 1), made("a"), made("e")])
    assert drawn(only(roots, lambda item: item.id == "d")) == ["a", "└─ b", "   └─ d"]
    assert only(roots, lambda item: False) == []


def test_a_thousand_generations_and_a_thousand_children() -> None:
    deep = [made(f"g{n}", f"g{n - 1}" if n else "", n) for n in range(2000)]
    wide = [made(f"w{n}", "w0" if n else "", n) for n in range(2000)]
    began = time.thread_time()
    roots = families([*deep, *wide])
    lines = drawn(roots)
    assert time.thread_time() - began < 1.0
    assert len(lines) == 4000
    assert [root.size for root in roots] == [1999, 1999]
    assert max(len(line) for line in lines) < 60
    assert any("(1999) g1999" in line for line in lines)


def test_a_folder_of_a_thousand_logs_is_listed_in_time(tmp_path: Path) -> None:
    whole = write_log(tmp_path / "root.jsonl", refund()).read_bytes()
    first, rest = whole.split(b"\n", 1)
    for number in range(1000):
        parent = f'"parents":[{{"id":"{"sample" if number < 500 else f"n{number - 500}"}"}}]'
        line = first.replace(b'"parents":[]', parent.encode()).replace(
            b'"id":"sample"', f'"id":"n{number}"'.encode(), 1
        )
        (tmp_path / f"n{number}.jsonl").write_bytes(line + b"\n" + rest)
    began = time.thread_time()
    (root,) = families(list_runs(tmp_path))
    took = time.thread_time() - began
    assert root.size == 1000
    assert took < 2.0, f"{took:.2f} s"


@pytest.mark.parametrize("change", [7, "rewind", [], {"kind": 3, "turn": "x"}, {"turn": 4}])
def test_a_header_that_says_nonsense_is_still_a_run(tmp_path: Path, change: Any) -> None:
    path = write_log(tmp_path / "a.jsonl", [header(change=change, parents=["x"]), *refund()[1:]])
    found = summarise(path)
    assert (found.change, found.at, found.parent) == ("", None, "")
    assert found.state == "completed"


async def test_a_child_says_what_it_changed_and_where_it_goes_on(tmp_path: Path) -> None:
    what = scenario(Bot(), ["one", "two"], sessions=["a", "b"])
    whole = await run(what, tmp_path)
    back = await cut_turn(whole, 3, tmp_path, scenario(Bot(), ["one", "two"], sessions=["a", "b"]))
    assert back.one("header")["change"] == {"kind": "rewind", "session": 1, "turn": 3}
    ended = next(r for r in whole.records if r["type"] == "session.ended")
    between = await resume(
        whole.path, tmp_path, scenario(Bot(), ["one", "two"], sessions=["a", "b"]),
        seq=ended["seq"], kind="rewind",
    )  # fmt: skip
    assert between.one("header")["change"] == {"kind": "rewind", "session": 2, "turn": 1}
    (root,) = families(list_runs(tmp_path))
    assert root.run.id == whole.one("header")["id"]
    assert [branch.origin() for branch in root.children] == ["rewind at 1:3", "rewind at 2:1"]


def test_two_logs_are_compared_the_older_first(tmp_path: Path) -> None:
    first, second, third = family(tmp_path)
    for one, other in ((first, second), (second, third), (first, third)):
        assert oldest_first(one, other) == oldest_first(other, one) == (one, other)
    gone = tmp_path / "gone.jsonl"
    assert set(oldest_first(gone, first)) == {gone, first}


@pytest.mark.parametrize(
    "named", ["n1.jsonl", "./n1.jsonl", "/x//n1.jsonl", "../n1.jsonl", "/x/n1.jsonl/", "n1.jsonl/."]
)
def test_a_parent_is_known_by_the_name_of_its_file_however_it_is_written(named: str) -> None:
    parent, child = made("n1"), made("c", parent="", parent_file=named)
    assert drawn(families([child, parent])) == ["n1", "└─ c"]
    assert drawn(families([made("c", parent="", parent_file=f"{named}x"), parent])) == ["c", "n1"]
