"""Which turn a reload shows, and how it is put through the new code."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from convtui.errors import ConvtuiError
from convtui.protocol import ContinueFrom, StartSpec
from convtui.records.codec import RecordDict
from convtui.text.boundary import visible_line
from convtui.transcript.fold import COMMITTED, GONE, Transcript, Turn

if TYPE_CHECKING:
    from convtui.analysis.rehook.preview import Asked, Preview
    from convtui.tui.sources.source import Source

_MOST = 200
"""Turns that are looked at for the last one of the provider's that has a raw reply."""


@dataclass(slots=True)
class ReloadedTurn:
    """A turn of the provider's with a raw reply, as the log had it before the reload."""

    place: str
    """Which it is, in words."""
    records: list[RecordDict]
    """The log's header and the turn's records."""
    session: int
    turn: int
    log: Path
    before: int
    """The last record before it in `log`."""
    verdict: bool | None = None
    """What `should_discard_response` had said, where that is on no record yet."""

    async def see(self, spec: StartSpec, python: str | None) -> Preview:
        """Its reply through the new code. Raises `EngineError`."""
        from convtui.analysis.rehook.preview import preview_turn

        return await preview_turn(spec, self.records, verdict=self.verdict, python=python)

    async def ask(self, spec: StartSpec, python: str | None) -> Asked:
        """Another reply, through the new code. Raises `EngineError`."""
        from convtui.analysis.rehook.preview import ask_again

        parent = ContinueFrom(str(self.log), seq=self.before)
        return await ask_again(spec, parent, session=self.session, turn=self.turn, python=python)


async def reloaded_turn(
    source: Source, transcript: Transcript, hold: RecordDict | None
) -> ReloadedTurn | None:
    """The held turn of the provider's, else its last one; None where it has said nothing."""
    for turn in reversed(transcript.turns[-_MOST:]):
        held = turn is transcript.current and hold is not None
        if turn.speaker != "provider" or not (held or turn.status in (COMMITTED, GONE)):
            continue
        found = await _of(source, transcript, turn, hold if held else None)
        if found is not None:
            return found
    return None


async def _of(
    source: Source, transcript: Transcript, turn: Turn, hold: RecordDict | None
) -> ReloadedTurn | None:
    try:
        detail = await source.detail(turn)
    except (ConvtuiError, OSError, ValueError):
        return None  # the transcript says what is wrong with the log
    log = detail.log or source.path
    if log is None or detail.response is None:
        return None
    where = f"turn {turn.address}"
    if hold is not None:
        where += f", held at {visible_line(str(hold.get('stage')), 20)}"
    elif turn.status == GONE:
        where += ", the last of the provider's, discarded"
    else:
        where += ", the last of the provider's"
    return ReloadedTurn(
        f"{where}: what the old code and the new code make of it",
        [transcript.header, *detail.records],
        turn.session,
        turn.number,
        log,
        int(detail.records[0]["seq"]) - 1,
        _verdict(hold),
    )


def _verdict(hold: RecordDict | None) -> bool | None:
    """What a hold says that the hook had said."""
    if hold is None:
        return None
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") == "verdict":
            return draft.get("text") == "drop"
    # What comes to be committed was not dropped.
    return False if hold.get("stage") == "commit" else None
