"""Going on with a live conversation in another engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from convtui.client.engine_client import EngineHandle, last_words
from convtui.client.link import ConversationLink, EngineState
from convtui.errors import CommandRefused, EngineError
from convtui.log.names import lock_path, tool_results_path, wire_path
from convtui.log.recordfile import RecordFile
from convtui.protocol import Commands, ContinueFrom, StartSpec
from convtui.transcript.clock import elapsed
from convtui.trust.rules import vouched_in_session

STANDS_WITHIN = 120.0
"""Seconds that a provider may take to be set up in the engine that is to take over."""


async def continue_live(
    handle: ConversationLink, spec: StartSpec, parent: ContinueFrom
) -> EngineHandle:
    """Goes on with a conversation in a new engine; the old one ends only when the new one is up.

    Raises `EngineError` when the new engine cannot start, when its provider cannot be set up, or
    when it cannot summarise the history as requested: nothing has changed then. The log
    named by `parent` is closed as "continued as ...".
    """
    fresh = EngineHandle(python=handle.python)
    child = StartSpec.from_dict({**spec.as_dict(), "continue_from": None})
    child.continue_from = parent
    if parent.held and parent.seq is None and handle.hold is not None:
        if parent.kind == "reload":
            parent.seq = await asyncio.to_thread(_before_its_ending, handle)
        parent.clock = elapsed(handle.transcript, handle.log_time).as_dict()
        before = parent.seq is not None
        parent.stage = "signals" if before else str(handle.hold.get("stage") or "") or None
    if handle.log_path is not None and handle.spec is not None:
        # What runs in this very session is the user's, also where its code was edited since.
        session = await asyncio.to_thread(vouched_in_session, handle.spec.scenario)
        child.vouched = [*child.vouched, *session]
        child.trust = False
    compress = parent.kind == "compress"
    try:
        await fresh.start(child)
        if compress:
            await _compressed(fresh)
        elif parent.held:
            await _stands(fresh)
    except EngineError as error:
        await _give_up(fresh, forget=not compress)
        if not handle.over and parent.kind == "reload":
            with contextlib.suppress(CommandRefused):
                await handle.command(Commands.RELOAD_FAILED, error=error.error)
        raise
    except BaseException:
        await _give_up(fresh, forget=not compress)
        raise
    if not handle.over:
        with contextlib.suppress(CommandRefused):
            await handle.command(Commands.RETIRE, continued_as=fresh.log_id)
        await handle.close()
    return fresh


def _before_its_ending(handle: ConversationLink) -> int | None:
    """The last record before the provider's turn that is held at its ending was committed.

    New code is to make of its reply what it makes of any that is held: it is not over yet. None
    for any other hold.
    """
    hold, transcript = handle.hold or {}, handle.transcript
    turn = transcript.find(hold.get("session") or 0, hold.get("turn") or 0)
    log = handle.log_path
    ends = hold.get("stage") == "terminate" and turn is not None and turn.speaker == "provider"
    if not ends or turn is None or turn.first < 0 or log is None:
        return None
    file = RecordFile(log, transcript.offsets)
    try:
        records = list(file.range(turn.first, turn.last))
    finally:
        file.close()
    over = ("turn.committed", "turn.discarded")
    decided = [int(record["seq"]) for record in records if record.get("type") in over]
    return decided[-1] - 1 if decided else None


async def _stands(fresh: EngineHandle) -> None:
    """Waits until the new engine stands where it is held, its provider set up.

    Raises `EngineError` when that fails, or takes longer than `STANDS_WITHIN`.
    """
    try:
        async with asyncio.timeout(STANDS_WITHIN):
            await _until(fresh, lambda: fresh.hold is not None or fresh.over or _replays(fresh))
    except TimeoutError:
        raise EngineError(
            f"the provider was not set up within {STANDS_WITHIN:g} s: does its setup() come back?"
        ) from None
    hold = fresh.hold
    if hold is None and not fresh.over:
        return
    if hold is None:
        if fresh.state is EngineState.CLOSED:
            ended = fresh.transcript.termination or {}
            raise EngineError(f"it ended at once: {ended.get('reason') or 'it failed'}")
        await last_words(fresh)
        raise fresh.failure()
    if hold.get("reason") == "error" and hold.get("turn") is None:
        error = dict(hold.get("error") or {})
        message = str(error.get("message") or hold.get("detail") or "the provider is not set up")
        raise EngineError("\n".join([message, *error.get("frames", ())]), error)


def _replays(fresh: EngineHandle) -> bool:
    """Whether the provider is asked again what it was asked, which may take any time."""
    return any(warning.get("code") == "replaying" for warning in fresh.transcript.warnings)


async def _until(fresh: EngineHandle, condition: Callable[[], bool]) -> None:
    """Waits until a condition holds; it is checked after every change of the handle."""
    changed = asyncio.Event()
    forget = fresh.subscribe(changed.set)
    try:
        while not condition():
            changed.clear()
            await changed.wait()
    finally:
        forget()


async def _give_up(fresh: EngineHandle, *, forget: bool) -> None:
    """Ends the new engine after a failed handover; `forget` deletes its log too."""
    await fresh.close()
    if forget and fresh.log_path is not None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(_remove, fresh.log_path)


def _remove(log: Path) -> None:
    for path in (log, lock_path(log), wire_path(log), tool_results_path(log)):
        path.unlink(missing_ok=True)


async def _compressed(fresh: EngineHandle) -> None:
    """Waits until a history is summarised, or until the engine holds before that.

    Raises `EngineError` with the reason when there is no summary.
    """
    settled = asyncio.Event()

    def look() -> None:
        done = "context.compressed" in fresh.transcript.counts
        if done or fresh.hold is not None or fresh.over:
            settled.set()

    forget = fresh.subscribe(look)
    try:
        look()
        await settled.wait()
    finally:
        forget()
    if "context.compressed" in fresh.transcript.counts:
        return
    hold = fresh.hold
    if hold is not None:
        if hold.get("reason") == "error":
            raise EngineError(str(hold.get("detail") or "not compressed"))
        return
    if fresh.state is EngineState.CLOSED:
        ended = fresh.transcript.termination or {}
        raise EngineError(f"not compressed: {ended.get('reason') or 'it failed'}")
    raise fresh.failure()
