"""What all importers share: where records belong, and when they are given out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convtui.log.formats.findings import Finding
from convtui.log.formats.record_builder import RecordBuilder


def payloads(builder: RecordBuilder) -> list[tuple[float, dict[str, Any]]]:
    return [(seconds, record.payload()) for seconds, record in builder.take()]


def kinds(builder: RecordBuilder) -> list[str]:
    return [record.TYPE for _, record in builder.take()]


def test_what_comes_before_the_first_session_waits_for_it() -> None:
    builder = RecordBuilder("other", session_first=True)
    builder.keep("odd", {"a": 1})
    assert builder.take() == []
    builder.begin_session("persona")
    assert payloads(builder) == [
        (
            0.0,
            {
                "type": "session.started",
                "session": 1,
                "session_type": "default",
                "first_speaker": "persona",
            },
        ),
        (0.0, {"type": "other.odd", "session": 1, "data": {"a": 1}}),
    ]


def test_without_that_it_belongs_to_no_session() -> None:
    builder = RecordBuilder("other")
    builder.finding(Finding(Path("x.jsonl"), "is not JSON", 3))
    ((_, warning),) = payloads(builder)
    assert "session" not in warning
    assert (warning["message"], warning["line"]) == ("line 3: is not JSON", 3)


def test_a_turn_of_the_provider_is_open_until_it_is_committed() -> None:
    builder = RecordBuilder("other")
    builder.begin_session("persona", "intake", number=4)
    builder.start_turn("persona")
    builder.commit("Hello there")
    builder.warn("odd", "between turns")
    builder.start_turn("provider")
    builder.warn("odd", "inside")
    builder.commit(" ")
    builder.end_session({"kind": "completed"}, duration=2.0)
    records = [payload for _, payload in payloads(builder)]
    committed = [record for record in records if record["type"] == "turn.committed"]
    assert [(r["speaker"], r["turn"], r["words"], r.get("empty")) for r in committed] == [
        ("persona", 1, 2, None),
        ("provider", 2, 0, True),
    ]
    outside, inside = (record for record in records if record["type"] == "warning")
    assert "turn" not in outside
    assert inside["turn"] == 2
    assert records[-1]["turns"] == 2
    assert (records[-1]["session"], records[-1]["session_type"]) == (4, "intake")
    assert not builder.in_session


def test_calls_are_known_by_their_ids_until_they_return() -> None:
    builder = RecordBuilder("other")
    builder.begin_session("provider")
    builder.start_turn("provider")
    builder.next_round()
    builder.call("c1", "search", "")
    assert builder.unanswered == {"c1": "search"}
    builder.answer("c1", None, {"ok": True}, None, address="row 3")
    builder.next_round()
    builder.answer("c9", "clock", "late", "timeout", address="row 4", line=4)
    *_, called, returned, warning, odd = (payload for _, payload in payloads(builder))
    assert (called["arguments"], called["raw_arguments"]) == ({}, "")
    assert (returned["name"], returned["ok"]) == ("search", True)
    assert warning["message"] == "row 4: a result of 'c9', which was not called"
    assert (odd["round"], odd["ok"], odd["error_kind"]) == (2, False, "timeout")


def test_time_never_goes_back() -> None:
    builder = RecordBuilder("other")
    builder.advance(3.0)
    builder.advance(1.0)
    builder.begin_session("persona")
    assert builder.add(builder.take()[0][1]) == 2
    assert [seconds for seconds, _ in builder.take()] == [3.0]
    assert kinds(builder) == []
