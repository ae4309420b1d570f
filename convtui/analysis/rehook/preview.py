"""What a provider's new code makes of a turn: of its recorded reply, and of a reply asked for anew.

Each runs in an engine process of its own: the conversation that is going on is not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from convtui.client.engine_client import EngineHandle, EngineState, last_words
from convtui.errors import EngineError
from convtui.log.replies import collect_replies
from convtui.protocol import Commands, ContinueFrom, PreviewSpec, StartSpec
from convtui.records.codec import RecordDict
from convtui.trust.rules import vouched_in_session

_HOOK_WITHIN: Final = 10.0
"""Seconds that loading the provider and running its hooks once may take."""


@dataclass(slots=True)
class Made:
    """What hooks make of a raw reply; None where a stage had not run, or is not known."""

    signals: list[dict[str, Any]] | None = None
    text: str | None = None
    discarded: bool | None = None
    ends: str | None = None
    """The kind of the ending; see `ends_known`."""
    ends_known: bool = False

    @classmethod
    def told(cls, data: dict[str, Any]) -> Made:
        """From what an engine says; see `engine.preview`."""
        return cls(
            data.get("signals"),
            data.get("text"),
            data.get("discarded"),
            data.get("ends"),
            data.get("outcome") is not None,
        )


@dataclass(slots=True)
class Preview:
    """The same raw reply through the old hooks and through the new ones."""

    raw: str
    before: Made | None
    """None where a hook had failed."""
    after: Made | None
    """None where a hook fails now."""
    error: dict[str, Any] | None = None
    changed: list[str] = field(default_factory=list)
    """What differs: signals, text, discard, ending, error (a hook fails now), mended (it failed
    then)."""


@dataclass(slots=True)
class Asked:
    """A reply that the model gave anew, and what the new hooks make of it."""

    raw: str
    made: Made
    notes: list[str] = field(default_factory=list)
    """What is worth knowing: that it stopped at something, that nothing was restored."""


async def preview_turn(
    start: StartSpec,
    records: Sequence[RecordDict],
    *,
    verdict: bool | None = None,
    python: str | None = None,
    timeout: float = _HOOK_WITHIN,  # noqa: ASYNC109 - of the hooks, not of this
) -> Preview:
    """Runs the provider of `start` over the last reply of a turn, without a model call.

    `records` are the log's header and the turn's records. Hooks that fail without `setup()` are
    tried again after it. Raises `EngineError` where there is no answer: the code cannot be loaded,
    hangs, exits or crashes.
    """
    found = await _hooks(start, PreviewSpec(list(records), verdict), python, timeout)
    if found.get("error"):
        with contextlib.suppress(EngineError):
            again = await _hooks(
                start, PreviewSpec(list(records), verdict, setup=True), python, timeout
            )
            found = found if again.get("error") else again
    before, after = found.get("before"), found.get("after")
    preview = Preview(
        str(found.get("raw", "")),
        None if before is None else Made.told(before),
        None if after is None else Made.told(after),
        found.get("error"),
    )
    preview.changed = _changed(preview, bool(found.get("failed")))
    return preview


async def _hooks(
    start: StartSpec,
    spec: PreviewSpec,
    python: str | None,
    timeout: float,  # noqa: ASYNC109
) -> dict[str, Any]:
    handle = EngineHandle(python=python)
    try:
        asked = StartSpec.from_dict({**start.as_dict(), "continue_from": None, "faults": {}})
        asked.preview = spec
        await handle.start(asked, wait=False)
        try:
            await asyncio.wait_for(handle.wait(), timeout)
        except TimeoutError:
            raise EngineError(
                f"no answer within {timeout:g} s: a hook that hangs, or waits for something"
            ) from None
    finally:
        handle.kill()
        await handle.close()
    if not handle.rehooked:
        await last_words(handle)
        raise handle.failure()
    return handle.rehooked.popleft()


def _changed(preview: Preview, failed: bool) -> list[str]:
    before, after = preview.before, preview.after
    if after is None:
        return [] if failed else ["error"]
    if failed or before is None:
        return ["mended"]
    changed = []
    if before.signals is not None and before.signals != after.signals:
        changed.append("signals")
    if before.text is not None and before.text != after.text:
        changed.append("text")
    if before.discarded is not None and before.discarded != after.discarded:
        changed.append("discard")
    if before.ends_known and before.ends != after.ends:
        changed.append("ending")
    return changed


async def ask_again(
    start: StartSpec, parent: ContinueFrom, *, session: int, turn: int, python: str | None = None
) -> Asked:
    """Has the model answer a turn again, in a conversation that is thrown away.

    `parent` is the log up to the record before the turn. Raises `EngineError` when there is no
    reply.
    """
    with tempfile.TemporaryDirectory(prefix="convtui-ask-") as folder:
        spec = StartSpec.from_dict(
            {**start.as_dict(), "continue_from": None, "faults": {}, "breakpoints": []}
        )
        spec.out_dir = str(Path(folder) / "log")
        spec.watched, spec.paused, spec.wire = True, False, "off"
        # It is the scenario of a session that runs.
        spec.vouched = [*spec.vouched, *vouched_in_session(spec.scenario)]
        spec.trust = False
        spec.continue_from = replace(parent, kind="rewind", held=True, reuse_reply=False)
        handle = EngineHandle(python=python)
        records: list[RecordDict] = []
        handle.on_record(records.append)
        try:
            await handle.start(spec)
            notes, ends = await _one_turn(handle, session, turn)
        finally:
            handle.kill()
            await handle.close()
        if handle.error is not None and handle.state is EngineState.FAILED:
            raise handle.failure()
    return _asked(records, session, turn, notes, ends)


async def _one_turn(handle: EngineHandle, session: int, turn: int) -> tuple[list[str], str | None]:
    """Steps over one turn; what is worth knowing, and how the session would end with it."""
    notes: list[str] = []
    seen: int | None = None
    stepped = False
    while True:
        await _held(handle, seen)
        hold = handle.hold
        if hold is None:
            if handle.error is not None:
                notes.append(str(handle.error.get("message")))
            return notes, None
        seen = hold.get("hold")
        reason = hold.get("reason")
        here = (hold.get("session"), hold.get("turn")) == (session, turn)
        if reason == "cannot_restore":
            notes.append("the provider was not brought back to where it stood")
            await handle.release("continue")
        elif reason == "ending":
            return notes, str(hold.get("detail") or "it ends")
        elif here and hold.get("stage") == "request" and reason in ("pause", "step"):
            stepped = True
            await handle.command(Commands.STEP_TURN)
        elif stepped and not here:
            return notes, None
        elif reason in ("pause", "step", "breakpoint"):
            await handle.command(Commands.STEP_TURN)
        else:
            notes.append(f"it stopped there: {hold.get('detail') or reason}")
            return notes, None


async def _held(handle: EngineHandle, seen: int | None) -> None:
    moved = asyncio.Event()

    def look() -> None:
        if handle.over or (handle.hold is not None and handle.hold.get("hold") != seen):
            moved.set()

    forget = handle.subscribe(look)
    try:
        look()
        await moved.wait()
    finally:
        forget()


def _asked(
    records: Sequence[RecordDict], session: int, turn: int, notes: list[str], ends: str | None
) -> Asked:
    found = collect_replies(
        record
        for record in records
        if record.get("type") == "header"
        or (record.get("session"), record.get("turn")) == (session, turn)
    )
    reply = found.current if found.current is not None and found.current.rounds else None
    reply = reply or (found.replies[-1] if found.replies else None)
    if reply is None:
        raise EngineError("; ".join(notes) or "the model gave no reply")
    over = bool(reply.outcome)
    return Asked(
        reply.raw,
        Made(
            reply.matches,
            reply.text,
            reply.discard if over else None,
            ends,
            ends_known=over,
        ),
        notes,
    )
