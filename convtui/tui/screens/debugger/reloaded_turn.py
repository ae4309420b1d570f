"""Selects the turn that a reload shows, and runs it through the new code."""

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

_MAX_TURNS = 200
"""Turns to search backwards for the provider's last raw reply."""


@dataclass(slots=True)
class ReloadedTurn:
    """A provider turn with a raw reply, as the log had it before the reload."""

    title: str
    """The turn and what is shown of it."""
    records: list[RecordDict]
    """The log's header and the turn's records."""
    session: int
    turn: int
    log: Path
    before: int
    """Sequence number of the last record before the turn in `log`."""
    verdict: bool | None = None
    """The result of `should_discard_response`, if it is not recorded yet."""

    @property
    def address(self) -> str:
        return f"{self.session}:{self.turn}"

    async def preview(self, spec: StartSpec, python: str | None) -> Preview:
        """Runs its reply through the new code. Raises `EngineError`."""
        from convtui.analysis.rehook.preview import preview_turn

        return await preview_turn(spec, self.records, verdict=self.verdict, python=python)

    async def ask_again(self, spec: StartSpec, python: str | None) -> Asked:
        """Gets another reply, through the new code. Raises `EngineError`."""
        from convtui.analysis.rehook import preview

        parent = ContinueFrom(str(self.log), seq=self.before)
        return await preview.ask_again(
            spec, parent, session=self.session, turn=self.turn, python=python
        )


async def previewed(
    reloaded: ReloadedTurn, spec: StartSpec, python: str | None
) -> tuple[Preview | None, str]:
    """The preview of a turn, or why there is none."""
    try:
        return await reloaded.preview(spec, python), ""
    except ConvtuiError as error:
        return None, str(error)


async def reloaded_turn(
    source: Source, transcript: Transcript, hold: RecordDict | None
) -> ReloadedTurn | None:
    """The provider turn that is held, else its last one; None if it has not replied."""
    for turn in reversed(transcript.turns[-_MAX_TURNS:]):
        held = turn is transcript.current and hold is not None
        if turn.speaker != "provider" or not (held or turn.status in (COMMITTED, GONE)):
            continue
        reloaded = await _read(source, transcript, turn, hold if held else None)
        if reloaded is not None:
            return reloaded
    return None


async def _read(
    source: Source, transcript: Transcript, turn: Turn, hold: RecordDict | None
) -> ReloadedTurn | None:
    try:
        detail = await source.detail(turn)
    except (ConvtuiError, OSError, ValueError):
        return None  # the transcript shows what is wrong with the log
    log = detail.log or source.path
    if log is None or detail.response is None:
        return None
    title = f"turn {turn.address}"
    if hold is not None:
        title += f", held at {visible_line(str(hold.get('stage')), 20)}"
    elif turn.status == GONE:
        title += ", the provider's last, discarded"
    else:
        title += ", the provider's last"
    return ReloadedTurn(
        f"{title}: old code and new code",
        [transcript.header, *detail.records],
        turn.session,
        turn.number,
        log,
        int(detail.records[0]["seq"]) - 1,
        _verdict(hold),
    )


def _verdict(hold: RecordDict | None) -> bool | None:
    """The result of the discard hook as far as a hold knows it."""
    if hold is None:
        return None
    for draft in hold.get("drafts") or ():
        if isinstance(draft, dict) and draft.get("field") == "verdict":
            return draft.get("text") == "drop"
    # A turn at commit was not discarded.
    return False if hold.get("stage") == "commit" else None
