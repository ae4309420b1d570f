"""Previews a provider's new code on a turn: on its recorded reply, and on a new reply of the model.

Each preview runs in its own engine process and does not affect the running conversation.
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
    """The results of the hooks for a raw reply; None where a stage did not run or is unknown."""

    signals: list[dict[str, Any]] | None = None
    text: str | None = None
    discarded: bool | None = None
    ends: str | None = None
    """The kind of the ending, None where the session goes on; only valid with `ends_known`."""
    ends_known: bool = False

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Made:
        """Reads the results as the engine sends them; see `engine.process.preview`."""
        return cls(
            data.get("signals"),
            data.get("text"),
            data.get("discarded"),
            data.get("ends"),
            data.get("outcome") is not None,
        )


@dataclass(slots=True)
class Preview:
    """The results of the old and the new hooks for the same raw reply."""

    raw: str
    before: Made | None
    """None where a hook failed."""
    after: Made | None
    """None where a hook fails now."""
    error: dict[str, Any] | None = None
    """The failure of a new hook."""
    changed: list[str] = field(default_factory=list)
    """What differs: signals, text, discard, ending, error (a hook fails now), mended (one failed
    before, none does now)."""
    without_setup: bool = False
    """Whether the new code has a `setup()` that was not called for this."""


@dataclass(slots=True)
class Asked:
    """A new reply of the model, and the results of the new hooks for it."""

    raw: str
    made: Made
    notes: list[str] = field(default_factory=list)
    """Reservations: a hold that stopped the turn, state that was not restored."""


async def preview_turn(
    start: StartSpec,
    records: Sequence[RecordDict],
    *,
    verdict: bool | None = None,
    python: str | None = None,
    timeout: float = _HOOK_WITHIN,  # noqa: ASYNC109 - of the hooks, not of this
) -> Preview:
    """Runs the hooks of `start`'s provider on the last reply of a turn, without a model call.

    `records` are the log's header and the turn's records; `timeout` is in seconds. Hooks that fail
    without `setup()` are retried after it. Raises `EngineError` where there is no result: the code
    cannot be loaded, hangs, exits or crashes.
    """
    result = await _hooks(start, PreviewSpec(list(records), verdict), python, timeout)
    if result.get("error"):
        with contextlib.suppress(EngineError):
            again = await _hooks(
                start, PreviewSpec(list(records), verdict, setup=True), python, timeout
            )
            result = result if again.get("error") else again
    before, after = result.get("before"), result.get("after")
    preview = Preview(
        str(result.get("raw", "")),
        None if before is None else Made.from_dict(before),
        None if after is None else Made.from_dict(after),
        result.get("error"),
        without_setup=bool(result.get("without_setup")),
    )
    preview.changed = _changed(preview, bool(result.get("failed")))
    return preview


async def _hooks(
    start: StartSpec,
    spec: PreviewSpec,
    python: str | None,
    timeout: float,  # noqa: ASYNC109
) -> dict[str, Any]:
    handle = EngineHandle(python=python)
    try:
        preview_start = StartSpec.from_dict(
            {**start.as_dict(), "continue_from": None, "faults": {}}
        )
        preview_start.preview = spec
        await handle.start(preview_start, wait=False)
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
    """Has the model answer a turn again, in a temporary conversation.

    `parent` is the log up to the record before the turn. Raises `EngineError` when the model gives
    no reply.
    """
    with tempfile.TemporaryDirectory(prefix="convtui-ask-") as folder:
        spec = StartSpec.from_dict(
            {**start.as_dict(), "continue_from": None, "faults": {}, "breakpoints": []}
        )
        spec.out_dir = str(Path(folder) / "log")
        spec.watched, spec.paused, spec.wire = True, False, "off"
        spec.hold_endings = True
        # The scenario is that of a running session, so it is already vouched for.
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
    return _new_reply(records, session, turn, notes, ends)


async def _one_turn(handle: EngineHandle, session: int, turn: int) -> tuple[list[str], str | None]:
    """Steps over one turn; returns notes, and how the session would end with it, if it would."""
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
        at_turn = (hold.get("session"), hold.get("turn")) == (session, turn)
        if reason == "cannot_restore":
            notes.append("the provider was not brought back to where it stood")
            await handle.release("continue")
        elif reason == "ending":
            return notes, str(hold.get("detail") or "it ends")
        elif at_turn and hold.get("stage") == "request" and reason in ("pause", "step"):
            stepped = True
            await handle.command(Commands.STEP_TURN)
        elif stepped and not at_turn:
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


def _new_reply(
    records: Sequence[RecordDict], session: int, turn: int, notes: list[str], ends: str | None
) -> Asked:
    recorded = collect_replies(
        record
        for record in records
        if record.get("type") == "header"
        or (record.get("session"), record.get("turn")) == (session, turn)
    )
    reply = recorded.current if recorded.current is not None and recorded.current.rounds else None
    reply = reply or (recorded.replies[-1] if recorded.replies else None)
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
