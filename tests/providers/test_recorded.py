"""`recorded:LOG`: whole conversations answered from a record."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import ProviderLoadError
from convtui.log.reader import open_log
from convtui.models.base import Delta, Usage
from convtui.protocol import ContinueFrom
from convtui.providers.base import Request, SignalMatch
from convtui.providers.recorded import RecordedProvider, difference
from convtui.scenario.scenario import Scenario
from convtui.transcript.fold import Flag
from convtui.tui.widgets.inspector.drift import drift_notes
from tests.builders.conversations import Bot, Ran, calls, run, scenario
from tests.builders.logs import conversation, ending, session, turn, write_log


def look_up(word: str) -> str:
    """Looks a word up."""
    return f"{word}: found"


class Rich(Bot):
    """Reasons, calls a tool, is discarded once, and reports usage."""

    system_prompt = "Be brief."
    tools = (look_up,)

    def __init__(self) -> None:
        usage = Usage(prompt_tokens=7, completion_tokens=3)
        super().__init__(
            (Delta(reasoning="hm"), Delta(text="<t>a</t>"), Delta(text="first", usage=usage)),
            "[[ERROR]] broken",
            calls(("look_up", '{"word": "ferry"}')),
            (Delta(text="the ferry"), Delta(metadata={"id": "m1"}, finish_reason="stop")),
            "last",
            signals=["[[ERROR]]"],
        )

    def post_process_response(self, text: str) -> str:
        return text.replace("<t>a</t>", "")

    def should_discard_response(self, signals: list[SignalMatch]) -> bool:
        return True


def again(log: Path, *, how: str = "", script: tuple[str, ...] = ("one", "two", "three")) -> Any:
    """The scenario that plays a log."""
    return Scenario.from_data(
        {
            "name": "test",
            "persona": {"name": "Maya", "script": list(script)},
            "provider": {"use": f"recorded:{log}{how}"},
            "on_discard": "retry 1",
            "retry": {"base_delay": 0, "max_delay": 0},
        },
        base=Path("/nonexistent"),
    )


@pytest.fixture
def made(tmp_path: Path) -> Ran:
    """A run with everything in it."""
    what = scenario(Rich(), on_discard="retry 1")
    return asyncio.run(run(what, tmp_path / "made"))


def _facts(ran: Ran) -> list[Any]:
    """The records of a run, without times and without the provider's identity."""
    kept = (
        "llm.request", "llm.response", "tool.called", "tool.returned", "signals.extracted",
        "response.processed", "turn.discarded", "turn.committed", "session.ended",
    )  # fmt: skip
    gone = {"t", "ttft", "duration", "chunks", "hook", "seq", "call", "base", "model", "estimate"}
    return [
        {key: value for key, value in record.items() if key not in gone} for record in ran.of(*kept)
    ]


@pytest.mark.parametrize("how", ["", "?strict", "?positional"])
async def test_the_whole_conversation_comes_again(made: Ran, tmp_path: Path, how: str) -> None:
    ran = await run(again(made.path, how=how), tmp_path)
    assert _facts(ran) == _facts(made)
    assert len(ran.of("turn.discarded")) == len(ran.of("tool.returned")) == 1
    assert not ran.of("warning")


async def test_drift_is_reported_once_and_strictly_it_is_the_end(made: Ran, tmp_path: Path) -> None:
    script = ("one", "other", "three")
    ran = await run(again(made.path, script=script), tmp_path / "positional")
    assert [text for text in ran.said if text not in script] == ["first", "the ferry", "last"]
    warning = ran.one("warning")
    assert (warning["code"], warning["detail"]["asked"]) == ("drift", "other")
    assert warning["detail"]["recorded"] == "two"
    with open_log(ran.path) as log:
        assert drift_notes(log.transcript) == [
            "~ drift: 1 time the request differed from the record"
        ]
        turn_4 = log.transcript.find(1, 4)
        assert turn_4 is not None and turn_4.flags & Flag.WARNING, "the turn shows it, too"
    strict = await run(again(made.path, how="?strict", script=script), tmp_path / "strict")
    assert strict.ended == ("failed", "provider")
    assert "drift at 1:4: message 4 (user)" in strict.termination.reason


async def test_an_exhausted_record_is_a_clear_failure(made: Ran, tmp_path: Path) -> None:
    ran = await run(again(made.path, script=("one", "two", "three", "four")), tmp_path)
    assert ran.ended == ("failed", "provider")
    assert "the record is exhausted at 1:" in ran.termination.reason
    assert "3 turns of the provider in session 1" in ran.termination.reason


async def test_a_rewound_conversation_goes_on_at_its_place(made: Ran, tmp_path: Path) -> None:
    ran = await run(again(made.path), tmp_path)
    first = next(r for r in ran.of("turn.committed") if r["speaker"] == "provider")
    child = await run(
        None, tmp_path / "child",
        continue_from=ContinueFrom(log=str(ran.path), seq=first["seq"], kind="rewind"),
    )  # fmt: skip
    assert child.said == ran.said[2:]
    assert not child.of("warning")


async def test_a_record_with_other_numbers_is_followed_by_position(tmp_path: Path) -> None:
    talk = [
        turn(1, "persona", "one"),
        turn(4, "provider", "A"),
        turn(5, "persona", "two"),
        turn(9, "provider", "B"),
    ]
    log = write_log(tmp_path / "r.jsonl", conversation(session(1, "default", talk, ending())))
    ran = await run(again(log, script=("x", "y")), tmp_path)
    assert ran.said == ["x", "A", "y", "B"]


async def test_chunks_come_when_they_came_scaled_by_speed(tmp_path: Path) -> None:
    records = conversation(session(1, "a", [turn(2, "provider", "abcdef")], ending()))
    records = [
        record.model_copy(update={"chunks": [[400.0, 2], [800.0, 4]], "duration": 800.0})
        if record.TYPE == "llm.response"
        else record
        for record in records
    ]
    log = write_log(tmp_path / "r.jsonl", records)
    provider = RecordedProvider(log, speed=8000)
    request = Request(messages=[], session=1, session_type="a", turn=2)
    begun = time.monotonic()
    pieces = [delta.text async for delta in provider.respond(request)]
    assert pieces == ["ab", "cdef", ""]
    assert 0.1 <= time.monotonic() - begun < 400


def test_what_a_log_names_is_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    records = conversation(session(1, "a", [turn(2, "provider", "x")], ending()))
    spec = f"{tmp_path / 'evil.py'}:Bot"
    records[0] = records[0].model_copy(
        update={"provider": {"spec": spec, "name": "Bot"}, "scenario": {"provider": {"use": spec}}}
    )
    RecordedProvider(write_log(tmp_path / "r.jsonl", records))
    assert not mark.exists()


@pytest.mark.parametrize("text", ["", "{}\n", json.dumps({"type": "header"}) + "\n"])
def test_what_is_no_log_is_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(ProviderLoadError, match="log"):
        RecordedProvider(path)


def test_a_log_without_replies_is_said(tmp_path: Path) -> None:
    log = write_log(tmp_path / "r.jsonl", conversation(session(1, "a", [], ending())))
    with pytest.raises(ProviderLoadError, match="no replies"):
        RecordedProvider(log)


def test_difference_leaves_masked_messages_out() -> None:
    recorded = [{"role": "user", "content": "key [redacted]"}]
    assert difference(recorded, [{"role": "user", "content": "key sk-123"}]) is None
    result = difference(recorded, [*recorded, {"role": "user", "content": "more"}])
    assert result is not None and result["what"] == "2 messages instead of the 1 recorded"


async def test_parts_and_a_refusal_come_again(tmp_path: Path) -> None:
    message = {"content": [{"type": "image_url", "x": 1}, {"type": "refusal", "refusal": "No."}]}
    lines: Any = [message]
    first = await run(scenario(Bot(lines), ["one"], max_turns=2), tmp_path)
    second = await run(again(first.path, script=("one",)), tmp_path / "again")
    for name in ("raw", "refused", "parts"):
        assert second.one("llm.response")[name] == first.one("llm.response")[name]
