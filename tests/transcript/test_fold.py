"""The fold: incremental, forward only, the same as folding from scratch, never raising."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.log.reader import open_log
from convtui.records.codec import decode, encode
from convtui.records.fields import FieldChecker
from convtui.records.models import (
    RECORD_TYPES,
    ContextSeeded,
    DebugEdited,
    DebugHeld,
    DebugOverrode,
    DebugReleased,
    HistorySeeded,
    LlmPartial,
    LlmRetry,
    ProviderOutput,
    RecordDict,
    ReflectionAdded,
    ToolCalled,
    ToolReturned,
    TurnCancelled,
    TurnDiscarded,
    TurnSkipped,
    TurnStarted,
    UserDecided,
    Warned,
)
from convtui.transcript.fold import COMMITTED, GONE, OPEN, Flag, Transcript
from tests.builders.folds import state
from tests.builders.logs import (
    as_records,
    conversation,
    ending,
    fold,
    header,
    sample,
    session,
    turn,
    write_log,
)


def test_the_sample() -> None:
    transcript = fold(sample())
    assert [(t.address, t.speaker, t.status) for t in transcript.turns] == [
        ("1:1", "persona", COMMITTED), ("1:2", "provider", COMMITTED),
        ("2:1", "persona", COMMITTED), ("2:2", "provider", GONE),
        ("2:3", "persona", COMMITTED), ("2:4", "provider", COMMITTED),
    ]  # fmt: skip
    last = transcript.turns[-1]
    assert last.text == "Of course."
    assert last.signals == ("[[DONE]]",)
    assert last.flags & Flag.CHANGED
    assert last.flags & Flag.ENDED
    assert transcript.turns[3].flags & Flag.DISCARDED
    assert transcript.totals["provider"].calls == 3
    assert transcript.totals["provider"].prompt_tokens == 210
    assert [s.session_type for s in transcript.sessions] == ["intake", "refund"]
    assert transcript.termination is not None
    assert not transcript.complete


def test_turns_are_found_by_address() -> None:
    transcript = fold(sample())
    for each in transcript.turns:
        assert transcript.find(each.session, each.number) is each
    for session_number, number in ((1, 3), (3, 1), (0, 0), (2, 99), (-1, 1)):
        assert transcript.find(session_number, number) is None


def test_read_from_a_file_it_is_the_same(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", sample())
    with open_log(path) as log:
        again = Transcript()
        for record, offset in zip(log.records(), log.transcript.offsets, strict=True):
            again.apply(record, offset)
        assert state(again) == state(log.transcript)


@given(st.integers(0, 2**32))
@settings(max_examples=25)
def test_folding_on_is_folding_from_scratch(seed: int) -> None:
    records = as_records(sample())
    chance = random.Random(seed)
    records = records[: chance.randrange(len(records))]
    going = Transcript()
    for count, record in enumerate(records, 1):
        before = [(each.version, id(each)) for each in going.turns]
        changed = going.apply(record)
        after = [(each.version, id(each)) for each in going.turns[: len(before)]]
        moved = {n for n, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]}
        # What changes is the turn that is returned; the end of a session marks its last one.
        allowed = set() if changed is None else {changed.index}
        if record["type"] != "session.ended":
            assert moved <= allowed
        scratch = Transcript()
        for each in records[:count]:
            scratch.apply(each)
        assert state(scratch) == state(going)


def test_one_record_costs_the_same_whatever_came_before() -> None:
    """Counts the calls made, not the time taken."""
    import sys

    def cost(transcript: Transcript, records: list[RecordDict]) -> int:
        calls = 0

        def count(*_: Any) -> None:
            nonlocal calls
            calls += 1

        sys.setprofile(count)
        try:
            for record in records:
                transcript.apply(record)
        finally:
            sys.setprofile(None)
        return calls

    def some(start: int) -> list[RecordDict]:
        found: list[RecordDict] = []
        for number in range(start, start + 20):
            found += as_records(turn(number, "provider", "text"))
        return found

    transcript = Transcript()
    early = cost(transcript, some(1))
    for number in range(21, 4001):
        for record in as_records(turn(number, "provider", "text")):
            transcript.apply(record)
    assert cost(transcript, some(4001)) <= early * 1.05


AT: dict[str, Any] = {"session": 1, "turn": 1, "side": "provider"}


@pytest.mark.parametrize(
    ("record", "flag"),
    [
        (LlmRetry(**AT, n=1, delay=0, error={"message": "x"}), Flag.RETRY),
        (ToolCalled(**AT, id="a", name="f"), Flag.TOOL),
        (ToolReturned(**AT, id="a", name="f", ok=False), Flag.TOOL_ERROR),
        (UserDecided(**AT, kind="stop"), Flag.DECISION),
        (ProviderOutput(**AT, stream="stdout", text="x"), Flag.OUTPUT),
        (DebugEdited(**AT, field="raw", before="a", after="b"), Flag.EDITED),
        (TurnCancelled(**AT, partial="x"), Flag.CANCELLED),
        (TurnSkipped(**AT, reason="x"), Flag.SKIPPED),
        (Warned(**AT, message="x"), Flag.WARNING),
        (DebugOverrode(**AT, what="ending"), Flag.WOULD_END),
        (DebugHeld(**AT, hold=1, reason="pause", stage="commit"), Flag.HELD),
        (DebugHeld(**AT, hold=1, reason="error", stage="response"), Flag.ERROR),
    ],
)
def test_flags(record: Any, flag: Flag) -> None:
    transcript = fold([header(), TurnStarted(**AT, speaker="provider"), record])
    assert transcript.turns[0].flags & flag


@pytest.mark.parametrize(
    ("fields", "flag"),
    [
        ({"human": True}, Flag.HUMAN),
        ({"edited": True}, Flag.EDITED),
        ({"empty": True}, Flag.EMPTY),
        ({"truncated": True}, Flag.TRUNCATED),
        ({"would_have": "end"}, Flag.WOULD_END),
    ],
)
def test_flags_of_a_commit(fields: dict[str, Any], flag: Flag) -> None:
    transcript = fold(conversation(session(1, "s", [turn(1, "provider", "x", **fields)])))
    assert transcript.turns[0].flags & flag


def test_a_hold_is_over_when_it_is_released_or_the_log_ends() -> None:
    held = DebugHeld(**AT, hold=1, reason="pause", stage="commit")
    started = [header(), TurnStarted(**AT, speaker="provider"), held]
    assert fold(started).hold is not None
    released = fold([*started, DebugReleased(**AT, hold=1, choice="go")])
    assert released.hold is None
    assert not released.turns[0].flags & Flag.HELD


def test_why_a_turn_was_dropped_is_known_where_its_ending_is_overridden() -> None:
    drop: dict[str, Any] = {"signals": [], "hook": "should_discard_response", "outcome": "end"}
    dropped = TurnDiscarded(**AT, speaker="provider", text="x", raw="x", **drop)
    overrode = DebugOverrode(**AT, what="ending", before={"kind": "discarded"})
    started = [header(), TurnStarted(**AT, speaker="provider"), dropped, overrode]
    (seen,) = fold(started).turns
    assert (seen.note, bool(seen.flags & Flag.WOULD_END)) == ("should_discard_response", True)
    (seen,) = fold([*started, DebugOverrode(**AT, what="ending", undoes=3)]).turns
    assert (seen.note, bool(seen.flags & Flag.WOULD_END)) == ("should_discard_response", False)


def test_a_scripted_line_is_seen_where_it_is_first_held() -> None:
    drafts = [{"field": "raw", "label": "raw reply", "text": "hello"}]
    started = [header(), TurnStarted(**AT, speaker="persona")]
    for stage, text in (("request", ""), ("signals", "hello"), ("commit", "")):
        held = DebugHeld(**AT, hold=1, reason="step", stage=stage, drafts=drafts)
        assert fold([*started, held]).turns[0].text == text


def test_streamed_text_is_replaced_by_what_the_log_says() -> None:
    transcript = fold([header(), TurnStarted(**AT, speaker="provider")])
    transcript.stream(1, 1, "hel")
    transcript.stream(1, 1, "lo")
    partial = {"type": "llm.partial", **AT, "offset": 0, "text": "hello wo"}
    transcript.apply(partial)
    assert transcript.turns[0].text == "hello wo"
    transcript.apply({"type": "llm.response", **AT, "raw": "hello world"})
    assert transcript.turns[0].text == "hello world"
    assert transcript.stream(1, 9, "nowhere") is None


def test_streamed_text_of_which_the_beginning_is_not_known_waits_for_the_log() -> None:
    transcript = Transcript()
    transcript.apply(
        {"type": "turn.started", "seq": 0, "session": 1, "turn": 1, "speaker": "provider"}
    )
    assert transcript.stream(1, 1, "third", 12) is None
    transcript.apply(
        {
            "type": "llm.partial", "seq": 1, "session": 1, "turn": 1, "side": "provider",
            "offset": 0, "text": "first secon",
        }
    )  # fmt: skip
    transcript.stream(1, 1, "second ", 6)
    transcript.stream(1, 1, "third", 13)
    transcript.stream(1, 1, "third", 13)
    (turn,) = transcript.turns
    assert turn.text == "first second third"


def test_partials_alone_make_the_text() -> None:
    records = [
        header(), TurnStarted(**AT, speaker="provider"),
        LlmPartial(**AT, offset=0, text="hel"), LlmPartial(**AT, offset=3, text="lo"),
    ]  # fmt: skip
    assert fold(records).turns[0].text == "hello"


@pytest.mark.parametrize("choice", ["simulate", "hand_back"])
def test_a_side_that_speaks_for_itself_after_all_is_no_human(choice: str) -> None:
    records = [
        header(), TurnStarted(**AT, speaker="provider", human=True),
        DebugHeld(**AT, hold=1, reason="human", stage="request"),
    ]  # fmt: skip
    assert fold(records).turns[0].flags & Flag.HUMAN
    records.append(DebugReleased(**AT, hold=1, choice=choice))
    assert not fold(records).turns[0].flags & Flag.HUMAN


def seeded() -> HistorySeeded:
    turns = [
        {"session": 1, "turn": 1, "speaker": "persona", "text": "hi", "human": True},
        {"session": 1, "turn": 2, "speaker": "provider", "text": "so"},
        {"session": 2, "turn": 1, "speaker": "persona", "text": "hey", "edited": True},
    ]
    return HistorySeeded(
        turns=turns, sessions=["a", "b", "c"], current=2, counters={"retries": 0}, messages={},
        ended=[{"session": 1, "session_type": "a", "termination": ending("max_turns")}],
    )  # fmt: skip


def test_seeded_turns() -> None:
    transcript = fold([header(), seeded()])
    assert [(t.address, t.text, t.status) for t in transcript.turns] == [
        ("1:1", "hi", COMMITTED), ("1:2", "so", COMMITTED), ("2:1", "hey", COMMITTED),
    ]  # fmt: skip
    assert all(t.flags & Flag.SEEDED and t.first == -1 for t in transcript.turns)
    assert transcript.turns[0].flags & Flag.HUMAN
    assert transcript.turns[2].flags & Flag.EDITED
    first = transcript.session(1)
    assert first is not None
    assert first.termination is not None
    assert transcript.current is None
    assert transcript.seed["turns"] == 3


def test_a_session_goes_on_after_its_seeded_turns() -> None:
    more = session(2, "b", [turn(2, "provider", "well")])
    transcript = fold([header(), seeded(), *more])
    holder = transcript.session(2)
    assert holder is not None
    assert [transcript.turns[n].number for n in holder.turns] == [1, 2]
    assert transcript.turns[-1].first > 0


def test_asking_again_opens_the_turn_again() -> None:
    records = [*turn(1, "provider", "one"), TurnStarted(**AT, attempt=2, speaker="provider")]
    transcript = fold([header(), *records])
    (only,) = transcript.turns
    assert (only.status, only.text, only.attempt) == (OPEN, "", 2)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner,
                                                                max_size=2),
    max_leaves=4,
)  # fmt: skip
FIELDS = sorted(
    {name for kind in RECORD_TYPES.values() for name in kind.model_fields}
    | {"type", "seq", "t", "session", "turn"}
)
RECORDS = st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=8)


def as_read(record: RecordDict) -> RecordDict:
    """As a reader hands it to the fold, which relies on the types of fields."""
    line = encode(record)
    read = decode(line)
    FieldChecker().mend(read, line)
    return read


def looked_at(transcript: Transcript) -> None:
    """What every screen relies on, whatever stood in the log."""
    for each in transcript.turns:
        assert isinstance(each.text, str)
        assert isinstance(each.note, str)
        assert isinstance(each.error, str)
        assert isinstance(each.speaker, str)
        assert isinstance(each.attempt, int)
        assert isinstance(each.flags, int)
        assert all(isinstance(name, str) for name in each.signals)
    for holder in transcript.sessions:
        assert holder.termination is None or isinstance(holder.termination, dict)
        assert isinstance(holder.session_type, str)
    assert transcript.termination is None or isinstance(transcript.termination, dict)


@given(st.lists(st.tuples(st.sampled_from(sorted(RECORD_TYPES)), RECORDS), max_size=6))
@settings(max_examples=100)
def test_malformed_records_never_raise(junk: list[tuple[str, RecordDict]]) -> None:
    transcript = fold(sample()[:12])
    for kind, fields in junk:
        at = {"session": 1, "turn": 1} if len(fields) % 2 else {}
        transcript.apply(as_read({"seq": 1, "t": 0.0, "type": kind, **at, **fields}))
    looked_at(transcript)


@given(st.data())
@settings(max_examples=100)
def test_a_record_with_one_wrong_field_never_raises(data: st.DataObject) -> None:
    records = as_records([*sample(), seeded()])
    place = data.draw(st.integers(0, len(records) - 1))
    name = data.draw(st.sampled_from(sorted(records[place])))
    records[place] = {**records[place], name: data.draw(JUNK)}
    transcript = Transcript()
    for record in records:
        transcript.apply(as_read(record))
    looked_at(transcript)


def test_a_turn_left_open_by_a_dead_writer_is_no_longer_waiting() -> None:
    transcript = Transcript()
    where: dict[str, Any] = {"session": 1, "turn": 1, "side": "provider", "attempt": 1}
    transcript.apply({"seq": 0, "type": "turn.started", "speaker": "provider", **where})
    left = transcript.abandon("the engine ended here")
    assert left is transcript.turns[0]
    assert (left.status, left.error) == ("failed", "the engine ended here")
    assert transcript.abandon("again") is None


def test_marks_of_an_attempt_that_was_cancelled_do_not_stay_on_the_next() -> None:
    transcript = Transcript()
    where: dict[str, Any] = {"session": 1, "turn": 1, "side": "provider"}
    transcript.apply({"type": "turn.started", "speaker": "provider", "attempt": 1, **where})
    transcript.apply({"type": "turn.cancelled", "partial": "half", "attempt": 1, **where})
    assert transcript.turns[0].flags & Flag.CANCELLED
    transcript.apply({"type": "turn.started", "speaker": "provider", "attempt": 2, **where})
    assert not transcript.turns[0].flags & Flag.CANCELLED


def test_a_turn_that_was_held_when_the_session_ended_is_held_no_more() -> None:
    transcript = Transcript()
    at = {"session": 1, "turn": 1, "side": "persona"}
    for record in (
        {"type": "session.started", "session": 1, "session_type": "a", "first_speaker": "persona"},
        {"type": "turn.started", **at, "speaker": "persona"},
        {"type": "debug.held", **at, "hold": 1, "reason": "pause", "stage": "request"},
        {"type": "session.ended", "session": 1, "session_type": "a",
         "termination": {"kind": "interrupted", "by": "human", "reason": "x", "at_turn": 1}},
    ):  # fmt: skip
        transcript.apply(dict(record))
    assert not transcript.turns[0].flags & Flag.HELD


def test_every_session_says_that_it_begins_warm() -> None:
    seeded = ContextSeeded(template="desk", messages=[{"role": "user", "content": "hi"}])
    records = [header(), seeded, *sample()[1:]]
    found = fold(records)
    assert [session.warm for session in found.sessions] == [("desk", 1), ("desk", 1)]
    assert found.warm is not None and found.lifecycle[0] is found.warm
    # A log that goes on has it after its history.
    turns = [{"session": 1, "turn": 1, "speaker": "persona", "text": "hi"}]
    history = HistorySeeded(turns=turns, sessions=["a"], current=1, counters={}, messages={})
    child = fold([header(), history, seeded])
    assert [session.warm for session in child.sessions] == [("desk", 1)]
    assert fold(sample()).sessions[0].warm is None


def test_the_first_session_shows_what_earlier_attempts_have_taught() -> None:
    taught = [ReflectionAdded(text="Be brief.", of=1), ReflectionAdded(text="Ask first.", of=2)]
    found = fold([header(), *taught, *sample()[1:]])
    assert [s.reflections for s in found.sessions] == [((1, "Be brief."), (2, "Ask first.")), ()]
    assert [record["of"] for record in found.lifecycle[:2]] == [1, 2]
    late = fold([*sample()[:6], taught[0]])
    assert late.sessions[0].reflections == ((1, "Be brief."),)


@pytest.mark.parametrize("committed", [False, True])
def test_nothing_is_held_any_more_where_the_engine_died(*, committed: bool) -> None:
    transcript = Transcript()
    at = {"session": 1, "turn": 1, "side": "provider"}
    transcript.apply({"type": "turn.started", **at, "speaker": "provider"})
    if committed:
        transcript.apply({"type": "turn.committed", **at, "speaker": "provider", "text": "Hi."})
    transcript.apply({
        "type": "debug.held", **at, "hold": 1, "reason": "step", "stage": "response", "drafts": []
    })  # fmt: skip
    turn = transcript.turns[0]
    assert turn.flags & Flag.HELD
    version = turn.version
    assert transcript.abandon("the engine ended here") is turn
    assert not turn.flags & Flag.HELD
    assert turn.version > version
