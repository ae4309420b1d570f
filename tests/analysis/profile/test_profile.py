"""Profiles of runs: rates, fifths, verdicts, percentiles, plots, reports."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from convtui.analysis.profile.data import as_dict
from convtui.analysis.profile.plots import plots_of
from convtui.analysis.profile.report import gain_words, profile_page, sections
from convtui.analysis.report.html import as_html
from convtui.analysis.report.intervals import design_effect, newcombe, percentile, spread, wilson
from convtui.analysis.report.plots import columns, figure, in_words, resample
from convtui.analysis.report.report import Section, Table
from convtui.analysis.tool_calls.gains import MIN_CALLS, Tally, fifths
from convtui.errors import LogError
from convtui.records.models import HistorySeeded, LlmResponse, Record, UserDecided
from tests.builders.logs import conversation, ending, header, session, turn, write_log
from tests.builders.tool_logs import OK, call, profile_logs, result, tool_log

T, F = True, False


def rows_of(section: Section) -> list[tuple[str, ...]]:
    (table,) = section.parts
    assert isinstance(table, Table)
    return list(table.rows)


# --- one run


def test_successes_with_a_null_error_field_are_no_failures(tmp_path: Path) -> None:
    # Every one of these results contains the word "error".
    profile = profile_logs([tool_log(tmp_path / "a.jsonl", [F, T, F, T, T, T, T, T])])
    assert profile.tally == Tally(8, 6, 2)
    assert profile.tally.error_rate == 0.25
    assert profile.rules == {"exit code": 8}


def test_a_call_without_a_result_is_no_success(tmp_path: Path) -> None:
    profile = profile_logs([tool_log(tmp_path / "a.jsonl", [None, T, F, None])])
    assert (profile.tally.ok, profile.tally.failed, profile.tally.unknown) == (1, 1, 2)
    assert profile.tally.error_rate == 0.5
    assert profile.rules == {"exit code": 2, "no result": 2}
    assert as_dict(profile)["unknown_calls"] == 2


def test_without_a_known_outcome_there_is_no_rate(tmp_path: Path) -> None:
    unknown = profile_logs([tool_log(tmp_path / "a.jsonl", [None] * 12)])
    assert unknown.tally.error_rate is None
    assert (unknown.gain.change, unknown.gain.verdict) == (None, "none")
    assert "not known" in gain_words(unknown.gain)
    nothing = profile_logs([tool_log(tmp_path / "b.jsonl", [])])
    assert nothing.tally == Tally()
    assert nothing.dominant_type is None
    assert nothing.gain.why == "no tool calls"
    assert as_dict(nothing)["error_rate"] is None


@pytest.mark.parametrize(("calls", "size"), [(1, 1), (4, 1), (9, 1), (10, 2), (14, 2), (25, 5)])
def test_fifths(calls: int, size: int) -> None:
    early, late = fifths([T] * calls)
    assert (early.calls, late.calls) == (size, size)


def test_early_against_late(tmp_path: Path) -> None:
    outcomes = [F] * 8 + [T] * 32
    profile = profile_logs([tool_log(tmp_path / "a.jsonl", outcomes)])
    assert profile.gain.early == Tally(8, 0, 8)
    assert profile.gain.late == Tally(8, 8, 0)
    assert profile.gain.change == -1.0
    assert profile.gain.verdict == "better"
    assert "100.0 points fewer errors late than early, an improvement" in gain_words(profile.gain)
    worse = profile_logs([tool_log(tmp_path / "b.jsonl", outcomes[::-1])])
    assert (worse.gain.change, worse.gain.verdict) == (1.0, "worse")
    assert "100.0 points more errors late than early" in gain_words(worse.gain)


def test_no_verdict_with_few_calls(tmp_path: Path) -> None:
    one = profile_logs([tool_log(tmp_path / "a.jsonl", [F])])
    assert one.gain.overlap
    assert (one.gain.change, one.gain.verdict) == (0.0, "none")
    assert "the same call" in one.gain.why
    few = profile_logs([tool_log(tmp_path / "b.jsonl", [F, *[T] * (MIN_CALLS - 2)])])
    assert (few.gain.change, few.gain.verdict) == (-1.0, "none")
    assert few.gain.why == "fewer than 10 calls with a known outcome"
    assert "(1 of 1)" in gain_words(few.gain)
    # Two calls against two: a difference that is often due to chance.
    chance = profile_logs([tool_log(tmp_path / "c.jsonl", [F, T, *[T] * 8])])
    assert chance.gain.early.calls == 2
    assert chance.gain.verdict == "none"
    assert "no surprise" in gain_words(chance.gain)


def test_trivial_tools_are_left_out(tmp_path: Path) -> None:
    names = ["memory", "terminal", "clarify"]
    profile = profile_logs([tool_log(tmp_path / "a.jsonl", [F, T, F], names=names)])
    assert (profile.tally, profile.trivial) == (Tally(1, 1, 0), 2)
    assert [tool.name for tool in profile.tools] == ["terminal"]


def test_tools_and_the_dominant_type(tmp_path: Path) -> None:
    names = ["browser", "patch", "read_file", "web_search"]
    profile = profile_logs([tool_log(tmp_path / "a.jsonl", [T, F, T, T], names=names)])
    # On a tie, the type called first.
    assert profile.dominant_type == "research"
    rates = {tool.name: (tool.type, tool.tally.error_rate) for tool in profile.tools}
    assert rates["patch"] == ("file", 1.0)
    assert rates["browser"] == ("research", 0.0)
    assert profile.tools[0].seconds is not None
    assert profile.tools[0].seconds.p50 == 0.25
    data = as_dict(profile)
    assert data["tool_distribution"] == dict.fromkeys(names, 1)
    assert data["tool_success_rates"]["patch"] == 0.0


def test_what_the_turns_took(tmp_path: Path) -> None:
    profile = profile_logs([tool_log(tmp_path / "a.jsonl", [T] * 5)])
    provider = next(side for side in profile.sides if side.side == "provider")
    assert provider.latency is not None
    assert provider.tokens is not None
    assert (provider.turns, provider.latency.n, provider.latency.p95) == (5, 5, 0.5)
    assert (provider.tokens.p50, provider.tokens.max) == (21.0, 41.0)
    assert provider.cost == pytest.approx(0.05)
    persona = next(side for side in profile.sides if side.side == "persona")
    assert (persona.turns, persona.latency, persona.tokens, persona.cost) == (5, None, None, None)
    assert profile.cost == pytest.approx(0.05)


def test_signals_discards_decisions_and_endings(tmp_path: Path) -> None:
    decided = UserDecided(kind="abstain", valid=True, reason="no idea")
    turns = [
        turn(1, "persona", "Hello", more=[decided]),
        turn(2, "provider", "[[X]] no", signal="[[X]]", discard="skip"),
        turn(3, "provider", "[[X]] yes", signal="[[X]]"),
    ]
    end = ending("abstained", "responder", 3)
    path = write_log(tmp_path / "a.jsonl", conversation(session(1, "one", turns, end), end=end))
    open_end = write_log(
        tmp_path / "b.jsonl", conversation(session(1, "one", turns[:1])), close=False
    )
    profile = profile_logs([path, open_end])
    assert profile.signals == {"[[X]]": 2}
    assert profile.discarded == 1
    assert profile.decisions == {"abstain": 2}
    assert profile.endings == {"abstained": 1, "crashed": 1}
    assert profile.session_endings == {"abstained": 1, "open": 1}
    assert (profile.committed_turns, profile.sessions) == (3, 2)


def test_what_was_noticed_is_counted_by_turns(tmp_path: Path) -> None:
    label = {"flag": "label", "rule": "own-name"}
    turns = [
        turn(1, "persona", "Maya: hi", flags=[label, {"flag": "role", "rule": "counsels"}]),
        turn(2, "provider", "Hello"),
        turn(3, "persona", "Maya: bye", flags=[label]),
    ]
    path = write_log(tmp_path / "a.jsonl", conversation(session(1, "one", turns)))
    profile = profile_logs([path, path])
    assert profile.noticed == {"label": 4, "role": 2}
    assert as_dict(profile)["noticed"] == {"label": 4, "role": 2}
    (noticed,) = [section for section in sections(profile) if section.title == "noticed (turns)"]
    assert rows_of(noticed) == [("script label", "4"), ("role inversion", "2")]


def test_what_a_branch_began_with_is_not_its_own(tmp_path: Path) -> None:
    seeded = HistorySeeded(
        turns=[
            {"session": 1, "turn": 1, "speaker": "persona", "text": "Hi"},
            {"session": 1, "turn": 2, "speaker": "provider", "text": "Hello"},
        ],
        sessions=["one"], current=1, counters={}, messages={},
    )  # fmt: skip
    records = conversation(session(1, "one", [turn(3, "persona", "More")], ending()), end=ending())
    path = write_log(tmp_path / "a.jsonl", [records[0], seeded, *records[1:]])
    profile = profile_logs([path])
    assert (profile.committed_turns, profile.inherited) == (1, 2)
    assert [point.address for point in profile.runs[0].turns] == ["1:3"]


# --- many runs


def test_runs_together(tmp_path: Path) -> None:
    good = tool_log(tmp_path / "a.jsonl", [T] * 10)
    bad = tool_log(tmp_path / "b.jsonl", [F] * 5 + [T] * 5)
    single = tool_log(tmp_path / "c.jsonl", [F])
    profile = profile_logs([good, bad, single])
    assert profile.tally == Tally(21, 15, 6)
    # A run with a single call is left out: the call would be in both fifths.
    assert (profile.gain.early, profile.gain.late) == (Tally(4, 2, 2), Tally(4, 4, 0))
    assert [run.tally.error_rate for run in profile.runs] == [0.0, 0.5, 1.0]
    assert [run.gain.change for run in profile.runs] == [0.0, -1.0, 0.0]
    assert {plot.over for plot in plots_of(profile)} == {"runs"}
    rates = next(plot for plot in plots_of(profile) if plot.name == "error rate")
    assert rates.labels == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert rates.values == [0.0, 50.0, 100.0]


def test_runs_that_differ_give_no_verdict_by_their_many_calls(tmp_path: Path) -> None:
    better = [F] * 8 + [T] * 32
    both = [tool_log(tmp_path / f"{n}.jsonl", better) for n in range(2)]
    assert profile_logs(both).gain.verdict == "better"
    # Half of the early calls failed: all those of one run, and none of the other.
    early = [tool_log(tmp_path / "a.jsonl", better), tool_log(tmp_path / "b.jsonl", [T] * 40)]
    gain = profile_logs(early).gain
    assert (gain.change, gain.verdict) == (-0.5, "none")


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("hello\n")
    with pytest.raises(LogError):
        profile_logs([tmp_path / "x.jsonl"])


def test_damage_is_reported_and_the_rest_counts(tmp_path: Path) -> None:
    path = tool_log(tmp_path / "a.jsonl", [T, T, F])
    lines = path.read_bytes().split(b"\n")
    lines.insert(9, b'{"broken')
    path.write_bytes(b"\n".join(lines))
    profile = profile_logs([path])
    assert profile.tally == Tally(3, 2, 1)
    assert profile.runs[0].damage > 0
    assert ("damaged", "the log: what cannot be read is not counted") in rows_of(
        sections(profile)[0]
    )


@pytest.mark.parametrize("number", ["1" + "0" * 400, "1e308", "-1e308", "NaN"])
def test_figures_that_nobody_can_reckon_with_are_unknown(tmp_path: Path, number: str) -> None:
    path = tool_log(tmp_path / "a.jsonl", [T, T, F])
    text = re.sub(r'"(duration|prompt_tokens|cost)":[0-9.]+', rf'"\1":{number}', path.read_text())
    assert text.count(number) > 6
    path.write_text(text)
    profile = profile_logs([path])
    assert profile.tally == Tally(3, 2, 1)
    assert profile.tools[0].seconds is None
    assert [side.latency for side in profile.sides] == [None, None]
    sections(profile)
    as_html(profile_page(profile))
    assert "Infinity" not in json.dumps(as_dict(profile), allow_nan=False)


# --- figures


def test_percentiles() -> None:
    assert [percentile([1.0, 2.0, 3.0, 4.0], share) for share in (0, 0.5, 1)] == [1.0, 2.5, 4.0]
    percentiles = spread([5.0, 1.0])
    assert percentiles is not None
    assert (percentiles.n, percentiles.p50, percentiles.max, percentiles.total) == (
        2,
        3.0,
        5.0,
        6.0,
    )
    assert spread([]) is None


def test_intervals_against_published_figures() -> None:
    # Newcombe 1998, table II: 56/70 against 48/80, 9/10 against 3/10, 10/10 against 0/10.
    for numbers, low, high in (
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ):
        interval = newcombe(*numbers)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
    assert newcombe(5, 10, 5, 10).includes_zero
    # Wilson's, as given by Newcombe 1998 for 81/263 and 0/20.
    interval = wilson(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20).low == 0.0
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=1e-4)


def test_calls_of_one_run_are_alike() -> None:
    assert design_effect([(1, 10), (1, 10), (1, 10)]) == 1.0
    assert design_effect([(10, 10), (0, 10)]) == pytest.approx(20.0)
    assert design_effect([(5, 10)]) == 1.0
    assert design_effect([(0, 10), (0, 10), (0, 0)]) == 1.0


# --- plots


def test_columns() -> None:
    assert columns([0, 1, 2, 4, 8], width=6) == [" ▁▂▄█ "]
    assert columns([None, 4, 8], width=3, height=2) == ["  █", "·██"]
    assert columns([0.0001, 1000, None], width=3, ascii_only=True) == [".@?"]
    assert columns([], width=4) == ["    "]
    assert columns([float("inf"), float("nan"), 1], width=3) == ["··█"]
    assert columns([0, 0], width=2) == ["  "]


def test_peaks_survive_a_narrow_plot() -> None:
    values: list[float | None] = [1.0] * 1000
    values[777] = 99.0
    assert max(value or 0 for value in resample(values, 10)) == 99.0
    assert sum(value or 0 for value in resample(values, 7, adds=True)) == 1098.0
    assert len(columns(values, width=10)[0]) == 10
    assert resample([None] * 20, 4) == [None] * 4


def test_a_description_says_what_a_plot_shows() -> None:
    description = in_words([1.0, None, 3.0, 2.0], ["1:1", "1:2", "1:3", "1:4"], "s")
    assert description == (
        "3 values, 1 not on record: first 1.00 s, last 2.00 s, lowest 1.00 s at 1:1,"
        " highest 3.00 s at 1:3"
    )
    assert in_words([None], ["a"], "s") == "nothing on record"
    assert in_words([0.0, 0.0], ["a", "b"], "errors") == "0 errors each of 2"
    assert [figure(1.0, "errors"), figure(1234.0, "tokens"), figure(0.25, "%")] == [
        "1 error",
        "1,234 tokens",
        "0.2 %",
    ]


# --- reports


def hostile(tmp_path: Path) -> Path:
    name = "<script>\x1b[31m"
    more: list[Record] = [call("c1", name), result("c1", OK, name)]
    turns = [turn(1, "provider", "Hi", more=more), turn(2, "provider", "Ho")]
    records = conversation(session(1, "<b>", turns, ending("<i>")), end=ending("<i>"))
    records[0] = header(persona="<img src=x>\u202e")
    return write_log(tmp_path / "a.jsonl", records)


def test_a_page_is_whole_and_harmless(tmp_path: Path) -> None:
    page = as_html(profile_page(profile_logs([hostile(tmp_path)])))
    assert "&lt;script&gt;" in page
    assert not re.search(r"<script|<img|\x1b|\u202e|https?://|<b>|<i>", page)
    assert page.count("<svg") == page.count("</svg>") > 0
    depth: list[str] = []

    class Check(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag != "meta":
                depth.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert depth.pop() == tag

    Check().feed(page)
    assert depth == []
    assert "<title>1:1: 0.50 s</title>" in page


def test_data_is_json(tmp_path: Path) -> None:
    data = json.loads(json.dumps(as_dict(profile_logs([hostile(tmp_path)]))))
    assert data["tool_call_count"] == 1
    assert data["decided_by"] == {"exit code": 1}
    assert data["gain"]["verdict"] is None
    assert data["sides"]["provider"]["latency"]["n"] == 2
    assert data["runs"][0]["ending"] == "<i>"


def test_replies_that_did_not_come_to_their_end(tmp_path: Path) -> None:
    cut = LlmResponse(raw="Half a", finish_reason="length", incomplete="length")
    turns = [
        turn(1, "persona", "hi"),
        turn(2, "provider", "Half a", more=[cut], incomplete="length"),
        turn(3, "persona", "well?"),
        turn(4, "provider", "Error: no boat", error_text="Error: no boat"),
    ]
    profile = profile_logs([write_log(tmp_path / "a.jsonl", conversation(session(1, "x", turns)))])
    assert profile.incomplete == {"length": 1}
    assert profile.errors == 1
    assert as_dict(profile)["incomplete"] == {"length": 1}
    (section,) = [s for s in sections(profile) if s.title.startswith("incomplete")]
    assert rows_of(section) == [("length", "1")]
