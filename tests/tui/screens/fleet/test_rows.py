"""The rows of a batch: order, counts, columns, what they are made from."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from convtui.batch.manifest import BatchFile, read_batch
from convtui.tui.drawing.palette import plain
from convtui.tui.screens.fleet.columns import (
    columns_for,
    dollars,
    row_spans,
    short_count,
    state_span,
    words_span,
)
from convtui.tui.screens.fleet.entries import EntryRows
from convtui.tui.screens.fleet.order import ORDER_LABELS, ORDERS, FleetOrder
from convtui.tui.screens.fleet.summary import summary_lines
from convtui.tui.screens.fleet.tally import Tally
from convtui.tui.screens.fleet.view import Block, FleetRow, Limit, Standing
from convtui.tui.widgets.run_columns import header_spans
from tests.batch.manifests import begin
from tests.tui.harness.fleet import rows_of

NOW = 1_000_000.0
DONE = {"kind": "completed", "by": "simulator", "reason": "said all", "at_turn": 4}


def row(key: str = "anna.1", **more: Any) -> FleetRow:
    cell, _, run = key.rpartition(".")
    return FleetRow(key, cell, int(run), **more)


def rows(count: int = 60) -> list[FleetRow]:
    return rows_of(count, now=NOW)


# --- order


@pytest.mark.parametrize("order", [*ORDERS, *(f"-{name}" for name in ORDERS)])
def test_rows_that_change_stand_where_sorting_anew_would_put_them(order: str) -> None:
    fleet, dice = rows(80), random.Random(3)
    kept = FleetOrder(fleet)
    kept.sort(order)
    for _ in range(40):
        changed = dice.sample(range(80), dice.choice((1, 2, 30)))
        for index in changed:
            fleet[index].flags = dice.randrange(4)
            fleet[index].tokens = dice.choice((None, 5, 7, 9))
            fleet[index].state = dice.choice(("running", "held", "over"))
            fleet[index].termination = dice.choice((None, DONE))
        before = list(kept.shown)
        assert kept.update(changed) == (kept.shown != before)
        anew = FleetOrder(fleet)
        anew.sort(order)
        assert kept.shown == anew.shown


def test_held_ones_come_first_and_what_is_unknown_last() -> None:
    fleet = [row("a.1", state="over"), row("a.2", state="running"), row("a.3", state="held"),
             row("a.4")]  # fmt: skip
    for index, one in enumerate(fleet):
        one.first = index
    order = FleetOrder(fleet)
    assert order.shown == [2, 1, 3, 0]
    fleet[1].tokens, fleet[3].tokens = 5, 9
    for name, shown in {"tokens": [1, 3, 0, 2], "-tokens": [3, 1, 0, 2]}.items():
        order.sort(name)
        assert order.shown == shown
    assert {name.lstrip("-") for name in ORDER_LABELS} <= set(ORDERS)


def test_attempts_stand_below_their_conversation() -> None:
    fleet = [row("a.1", state="over"), row("b.1", first=1, state="running")]
    order = FleetOrder(fleet)
    assert not order.has_attempts
    fleet.append(row("a.1", attempt=2, state="running"))
    assert order.update([2])
    assert order.shown == [0, 2, 1]
    order.attempts_shown = False
    order.refill()
    assert order.shown == [2, 1], "the latest stands for all"
    order.accepts = lambda row: row.cell == "b"
    order.refill()
    assert order.shown == [1]


# --- counts


def test_counts_are_those_of_counting_anew() -> None:
    fleet, dice = rows(50), random.Random(4)
    tally = Tally(fleet, NOW)
    for step in range(60):
        index = dice.randrange(50)
        fleet[index].state = dice.choice(("running", "held", "over"))
        fleet[index].termination = DONE
        fleet[index].turns += 1
        fleet[index].tokens = (fleet[index].tokens or 0) + 10
        tally.update([index], NOW + step)
        anew = Tally(fleet, NOW)
        assert +tally.states == anew.states and +tally.endings == anew.endings
        assert (tally.total, tally.done, tally.turns) == (50, anew.done, anew.turns)
        assert tally.cost == pytest.approx(anew.cost)


def test_one_that_is_gone_back_in_makes_no_rate_negative() -> None:
    fleet = [row("a.1", state="running", turns=9, tokens=90)]
    tally = Tally(fleet, NOW)
    fleet[0].turns, fleet[0].tokens = 4, 40
    tally.update([0], NOW + 1)
    assert tally.rates(NOW + 2) == (0, 0)


def test_a_conversation_counts_once_however_often_it_is_tried() -> None:
    failed = {**DONE, "kind": "failed"}
    fleet = [row("a.1", state="over", termination=failed, turns=3, tokens=5)]
    tally = Tally(fleet, NOW)
    assert (tally.done, tally.endings) == (1, {"failed": 1})
    fleet.append(row("a.1", attempt=2, state="running", turns=1, tokens=7))
    tally.update([1], NOW)
    assert (tally.total, tally.done, tally.running) == (1, 0, 1)
    assert tally.tokens == 12, "but what it used is the sum"


def test_rates_and_the_time_left() -> None:
    fleet = [row(f"a.{number}", first=number - 1) for number in range(1, 21)]
    tally = Tally(fleet, NOW)
    assert tally.left(NOW) is None
    for second in range(1, 11):
        one = fleet[second - 1]
        one.state, one.turns, one.tokens, one.termination = "over", 10, 1000, DONE
        tally.update([second - 1], NOW + second)
    assert tally.rates(NOW + 10) == pytest.approx((10, 1000))
    assert tally.left(NOW + 10) == pytest.approx(10)


# --- columns


@pytest.mark.parametrize("width", [40, 57, 77, 100, 117, 140, 200])
def test_rows_and_titles_fit_and_line_up(width: int) -> None:
    fleet = [*rows(), row("渡し船" * 20 + ".1", words="x\n\x1b[31m" * 50, state="running",
                          signals=4000, tokens=10**9, cost=12345.6, started=0.0)]  # fmt: skip
    for order in (*ORDERS, *(f"-{name}" for name in ORDERS)):
        columns = columns_for(width, order, name=20)
        title = plain(header_spans(columns, order))
        lines = [plain(row_spans(one, columns, NOW)) for one in fleet]
        assert {cell_len(line) for line in lines} == {cell_len(title)}
        assert width < 57 or cell_len(title) <= width
        assert not any("\x1b" in line or "\n" in line for line in lines)


@pytest.mark.parametrize("width", [57, 77, 117])
def test_the_column_that_the_list_is_sorted_by_is_shown(width: int) -> None:
    for order in set(ORDERS) - {"listed", "ending"}:
        assert "↑" in plain(header_spans(columns_for(width, order, name=9), order)), order


def test_a_state_is_a_glyph_and_a_word() -> None:
    assert state_span(row(state="held", hold={"reason": "human"}), NOW)[0] == "▸ your turn"
    assert state_span(row(state="running", retry_at=NOW + 9), NOW)[0] == "⋯ retry"
    assert state_span(row(state="running", retry_at=NOW - 1), NOW)[0] == "⋯ running"
    assert state_span(row(state="running", delayed=True), NOW)[0] == "⋯ delayed"
    assert state_span(row(state="crashed"), NOW)[0] == "! crashed"
    assert state_span(row(state="over", termination=DONE), NOW)[0] == "✓ completed"


def test_the_words_say_what_matters_most() -> None:
    def words(**more: Any) -> str:
        return plain(words_span(row(words="Hello.", **more), NOW))

    assert words(state="running") == "Hello."
    assert words(state="running", retry_at=NOW + 12, why="429 too many") == (
        "waiting 12 s before asking again: 429 too many"
    )
    assert words(state="held", hold={"reason": "breakpoint", "detail": "~end"}) == (
        "breakpoint: ~end"
    )
    assert words(state="over", termination=DONE) == "said all"
    assert words(state="over", termination={"kind": "failed", "reason": "no key"}) == "no key"
    died = row(state="starting", reruns=1, because="the worker was killed")
    assert plain(words_span(died, NOW)) == "run again: the worker was killed"
    died.words = "Hello."
    assert "anna.1 again" in plain(row_spans(died, columns_for(80, "state", name=9), NOW))


def test_figures_are_short() -> None:
    assert [short_count(n) for n in (0, 9999, 12_345, 999_499, 999_600, 2_500_000)] == [
        "0", "9,999", "12.3k", "999k", "1M", "2.5M",
    ]  # fmt: skip
    assert (dollars(0.0123), dollars(1234.5), dollars(None)) == ("$0.0123", "$1,234.50", "")


# --- the lines above


def lines(standing: Standing, *, most: int = 4, width: int = 116, over: bool = False) -> list[str]:
    tally = Tally(rows(200), NOW)
    found = summary_lines(tally, standing, NOW, width=width, most=most, over=over)
    return [plain(line) for line in found]


def test_what_is_known_of_all() -> None:
    limits = [Limit("host gpt", 37, 35, 12, throttled=True)]
    first, figures, endings, calls = lines(Standing(most_cost=20.0, limits=limits))
    assert "done   ▸ 6 held   54 running   39 waiting" in first
    assert "of $20.00 cost" in figures and "turns/s" in figures
    assert "completed ████" in endings
    assert calls == "calls  host gpt 35 of 37 at once, 12 wait (429)"
    assert len(lines(Standing(limits=limits), most=1)) == 1
    for width in (56, 76, 116):
        bar = lines(Standing(), width=width)[0]
        assert cell_len(bar) <= width


def test_what_is_amiss_is_said_however_small_the_screen_is() -> None:
    block = Block("anna.1", 3.1, "bot.py:12 in chat", 29)
    first, second = lines(Standing(blocks=[block], stopped="the disk is full"), most=1)
    assert "done" in first
    assert second.endswith("bot.py:12 in chat blocks its worker for 3.1 s:"
                           " 29 conversations delayed (anna.1)")  # fmt: skip
    assert "the disk is full" in lines(Standing(stopped="the disk is full"), most=1)[1]
    assert "paused" in lines(Standing(paused=True))[0]
    assert "run by process 7" in lines(Standing(elsewhere="process 7"))[0]
    assert lines(Standing(old_code=1))[-1].startswith("1 conversation still runs")


# --- where they come from


def written(folder: Path) -> BatchFile:
    writer = begin(folder, "anna", "ben", runs=2)
    for key in ("anna.1", "anna.2", "ben.1"):
        writer.add("started", key=key, log=f"{key}.jsonl", worker=1, attempt=1)
    writer.add("held", key="anna.2", reason="breakpoint", hold={"reason": "breakpoint", "turn": 3})
    writer.add("ended", key="anna.1", log="anna.1.jsonl", status="closed", termination=DONE,
               totals={"turns": 4, "discarded": 1, "usage": {"provider": {"tokens": 9}}},
               row={"words": "Bye.", "session": 1, "turn": 4, "signals": 2,
                    "flags": 3})  # fmt: skip
    writer.add("started", key="anna.1.a2", log="anna.1.a2.jsonl", worker=1, attempt=2)
    writer.close()
    return writer.batch


def test_rows_of_a_manifest(tmp_path: Path) -> None:
    batch = written(tmp_path)
    found = EntryRows(batch).rows
    assert [one.key for one in found] == ["anna.1", "anna.2", "ben.1", "ben.2", "anna.1.a2"]
    first, held, starting, waiting, again = found
    assert (first.state, first.kind, first.turns, first.discards) == ("over", "completed", 4, 1)
    assert (first.words, first.signals, first.flags, first.tokens) == ("Bye.", 2, 3, 9)
    assert first.log == "anna.1.jsonl" and first.seconds(NOW) is not None
    assert held.state == "held" and held.hold == {"reason": "breakpoint", "turn": 3}
    assert (starting.state, waiting.state, waiting.seconds(NOW)) == ("starting", "waiting", None)
    assert (again.attempt, again.first) == (2, 0)
    # Nobody runs it any more: what had begun has crashed.
    assert [one.state for one in EntryRows(read_batch(tmp_path)).rows] == [
        "over", "crashed", "crashed", "waiting", "crashed",
    ]  # fmt: skip


def test_rows_take_what_a_worker_says(tmp_path: Path) -> None:
    writer = begin(tmp_path, "anna")
    writer.add("started", key="anna.1", log="anna.1.jsonl", worker=1, attempt=1)
    entries = EntryRows(writer.batch)
    entry = writer.batch.entries["anna.1"]
    entry.row = {"state": "running", "session": 1, "turn": 2, "side": "provider", "words": "Hi.",
                 "turns": 1, "tokens": 40, "cost": 0.5, "wait": 3.0, "why": "429", "match": True,
                 "hold": None}  # fmt: skip
    assert entries.take(writer.batch, ["anna.1", "nobody.1"]) == [0]
    one = entries.rows[0]
    assert (one.state, one.turn, one.words, one.tokens, one.match) == (
        "running",
        2,
        "Hi.",
        40,
        True,
    )
    assert one.retry_at is not None and one.why == "429"
    entry.row = {"state": "held", "hold": {"reason": "human"}, "tokens": "many", "turn": True}
    entries.take(writer.batch, ["anna.1"])
    assert (one.state, one.hold, one.tokens, one.turn) == ("held", {"reason": "human"}, None, None)
    writer.close()
