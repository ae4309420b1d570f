"""What branches have from their parents is rehooked from the parents' logs, each reply once."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from convtui.analysis.rehook.rehook_process import Rehooked
from convtui.analysis.rehook.report import RehookReport
from convtui.analysis.rehook.sources import Source, carry_over, sources_of
from convtui.engine.rehook.replayed_hooks import Rehook
from convtui.log.run_summary import short_id
from convtui.protocol import REHOOK_CURSOR, RehookSpec
from convtui.providers.base import Provider
from convtui.tui.screens.rehook.rehook_list import items_of
from tests.builders.conversations import Bot, Ran, cut_turn, resume, run, scenario

_SCRIPT = ["one", "two", "three", "four"]


def rehooked(
    sources: Sequence[Source], provider: Provider, folder: Path, only: str = ""
) -> RehookReport:
    cursor = folder / "cursor"
    cursor.write_bytes(struct.pack(REHOOK_CURSOR, -1, -1))
    logs, until = [str(source.path) for source in sources], [source.until for source in sources]
    spec = RehookSpec(logs, str(cursor), only=only, until=until)
    result = Rehooked(list(sources), outcomes=list(Rehook(spec, provider).logs()))
    carry_over(result.sources, result.outcomes)
    return RehookReport(result)


def turns(report: RehookReport) -> dict[str, list[int]]:
    """The turns whose replies went through the hooks, by the name of the log."""
    return {path.name: [turn[1] for turn in outcome["turns"]] for path, outcome in report.logs()}


async def first(folder: Path) -> Ran:
    """A whole conversation: the provider speaks at 2, 4, 6 and 8."""
    return await run(scenario(Bot("a", "b", "c", "d"), _SCRIPT), folder / "runs")


async def branch(parent: Ran, number: int, folder: Path) -> Ran:
    """The same, rewound to before a turn."""
    return await cut_turn(parent, number, folder / "runs", scenario(Bot("x", "y"), _SCRIPT))


async def test_a_branch_is_followed_to_where_it_continues_its_parents(tmp_path: Path) -> None:
    parent = await first(tmp_path)
    child = await branch(parent, 6, tmp_path)
    grandchild = await branch(child, 8, tmp_path)
    report = rehooked(sources_of([grandchild.path]), Bot(), tmp_path)
    assert turns(report) == {
        parent.path.name: [2, 4],
        child.path.name: [6],
        grandchild.path.name: [8],
    }
    ids = [short_id(ran.one("header")["id"]) for ran in (parent, child)]
    assert report.summary() == (
        f"4 replies of 1 log, 3 of them from its parents {ids[0]} and {ids[1]}: nothing changed"
    )
    assert report.notes() == []
    own = rehooked(sources_of([grandchild.path], own=True), Bot(), tmp_path)
    assert own.summary() == "1 reply of 1 log: nothing changed"
    assert own.notes() == ["the replies of 3 turns that these logs began with are left out"]


async def test_parent_and_branch_are_named_and_nothing_counts_twice(tmp_path: Path) -> None:
    parent = await first(tmp_path)
    child = await branch(parent, 6, tmp_path)
    named = [child.path, parent.path, child.path.parent / "." / child.path.name]
    report = rehooked(sources_of(named), Bot(), tmp_path)
    assert turns(report) == {child.path.name: [6, 8], parent.path.name: [2, 4, 6, 8]}
    assert report.summary() == "6 replies of 2 logs: nothing changed"


async def test_a_parent_of_several_is_read_once_to_the_last_of_their_beginnings(
    tmp_path: Path,
) -> None:
    parent = await first(tmp_path)
    branches = [await branch(parent, number, tmp_path) for number in (4, 8, 6)]
    sources = sources_of([ran.path for ran in branches])
    report = rehooked(sources, Bot(), tmp_path)
    assert turns(report)[parent.path.name] == [2, 4, 6]
    assert "9 replies of 3 logs, 3 of them from the parent" in report.summary()


async def test_a_reply_that_a_reload_takes_over_counts_once(tmp_path: Path) -> None:
    parent = await first(tmp_path)
    received = next(r for r in parent.of("llm.response") if r["turn"] == 4)
    child = await resume(
        parent.path,
        tmp_path / "runs",
        scenario(Bot("x"), _SCRIPT[:2]),
        seq=received["seq"],
        kind="reload",
    )
    report = rehooked(sources_of([child.path]), Bot(), tmp_path)
    assert turns(report) == {parent.path.name: [2], child.path.name: [4]}


@pytest.mark.parametrize("altered", [False, True])
async def test_a_parent_that_cannot_be_read_is_named_and_the_rest_is_done(
    tmp_path: Path, altered: bool
) -> None:
    parent = await first(tmp_path)
    child = await branch(parent, 6, tmp_path)
    whole = parent.path.read_bytes()
    parent.path.unlink()
    if altered:
        parent.path.write_bytes(whole.replace(b'"raw":"a"', b'"raw":"A"'))
    report = rehooked(sources_of([child.path]), Bot(), tmp_path)
    assert report.summary() == "2 replies of 1 log: nothing changed"
    (note,) = report.notes()
    assert parent.path.name in note
    assert ("has been altered since" if altered else "is not there") in note
    assert note.endswith(f"; the replies of 2 turns that {child.path.name} began with are left out")


class Changing(Bot):
    """Makes something else of one reply."""

    def __init__(self, reply: str) -> None:
        super().__init__()
        self.reply = reply

    def post_process_response(self, text: str) -> str:
        return text.upper() if text == self.reply else text


@pytest.mark.parametrize(
    ("both", "reply", "counterfactual"),
    [
        (False, "b", 2),
        (True, "b", 2 + 2),
        # What comes after the branch began does not concern it.
        (True, "c", 1),
    ],
)
async def test_what_follows_a_change_in_a_parent_is_counterfactual(
    tmp_path: Path, both: bool, reply: str, counterfactual: int
) -> None:
    parent = await first(tmp_path)
    child = await branch(parent, 6, tmp_path)
    sources = sources_of([child.path, *([parent.path] if both else [])])
    report = rehooked(sources, Changing(reply), tmp_path)
    assert report.counts.counterfactual == counterfactual
    (change,) = report.changes
    assert (change.log, change.counterfactual) == (parent.path, False)
    items = items_of(report)
    assert items[0].child == ("" if both else child.path.name)


async def test_a_change_in_a_branch_says_that_its_parent_has_changed_before(
    tmp_path: Path,
) -> None:
    parent = await first(tmp_path)
    child = await branch(parent, 6, tmp_path)

    class All(Bot):
        def post_process_response(self, text: str) -> str:
            return text.upper()

    report = rehooked(sources_of([child.path]), All(), tmp_path, only="~said x | ~said b")
    assert [(c.log, c.address, c.counterfactual) for c in report.changes] == [
        (parent.path, "1:4", True),
        (child.path, "1:6", True),
    ]
    assert report.counts.inherited == 1
    parts = {log["log"]: (log["named"], log["parent"]) for log in report.as_dict()["logs"]}
    assert parts == {
        str(parent.path): (False, None),
        str(child.path): (True, str(parent.path)),
    }
