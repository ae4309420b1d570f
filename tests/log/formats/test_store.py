"""Imported conversations: what the heuristics notice is written with what was said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from convtui.filters.filter import decide, parse
from convtui.log.formats.registry import Imported
from convtui.log.formats.store import store
from convtui.log.reader import open_log
from convtui.records.codec import Speaker
from convtui.records.models import Record, SessionStarted, TurnCommitted
from convtui.secrets.redactor import Redactor
from convtui.transcript.fold import Flag

WANT = "I want my money back for the ferry, please"
TOKEN = "tok-0123456789abcdef"


def said(number: int, speaker: Speaker, text: str, **more: object) -> tuple[float, Record]:
    at = {"session": 1, "turn": number, "speaker": speaker}
    return float(number), TurnCommitted.model_validate(
        {**at, "text": text, "words": len(text.split()), **more}
    )


def test_role_repeat_and_leak_of_an_import(tmp_path: Path) -> None:
    own = [{"flag": "leak", "rule": "theirs"}]
    imported = Imported(
        id="i1",
        created_at=datetime(2026, 3, 4, tzinfo=UTC),
        persona="maya",
        provider={"name": "bot"},
        records=[
            (0.0, SessionStarted(session=1, session_type="default", first_speaker="persona")),
            said(1, "persona", WANT),
            said(2, "provider", f"{TOKEN} is noted.\nUser: fine\nAssistant: fine"),
            said(3, "persona", WANT),
            said(4, "provider", "<think>hm</think>Soon."),
            said(5, "persona", "How can I help you today?", flags=own),
            said(6, "provider", "Soon, really."),
        ],
        sources=[],
    )
    with open_log(store(imported, tmp_path, Redactor([TOKEN]))) as log:
        turns = log.transcript.turns
        flags = Flag.ROLE | Flag.REPEAT | Flag.LEAK
        assert [each.flags & flags for each in turns] == [
            0, Flag.ROLE, Flag.REPEAT, Flag.LEAK, Flag.LEAK, 0,
        ]  # fmt: skip
        for expression, expected in (("~role", [2]), ("~repeat", [3]), ("~fault provider", [2, 4])):
            asked = parse(expression)
            found = [t.number for t in turns if decide(asked.on_turn(t, log.transcript))]
            assert found == expected
        role = next(r for r in log.records() if r.get("turn") == 2)
        entry = role["flags"][0]
        assert TOKEN not in role["text"]
        assert role["text"][entry["start"] : entry["end"]] == entry["matched"] == "User:"
        own_word = next(r for r in log.records() if r.get("turn") == 5)
        assert own_word["flags"] == own, "what a file says itself counts"
