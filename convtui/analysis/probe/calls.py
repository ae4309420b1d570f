"""Probes of model calls: cancelled, timed out, failed."""

from __future__ import annotations

import asyncio
import contextlib

from convtui.analysis.probe.conversation import Clock, ProbeConversation, ProbeRun, address
from convtui.analysis.probe.report import ProbeSession
from convtui.analysis.probe.wording import QUESTION
from convtui.errors import CommandRefused
from convtui.protocol import Commands
from convtui.records.codec import RecordDict

CANCEL_WITHIN = 1.0
"""Seconds within which a cancelled call has to end."""
LATE_BY = 1.0
"""Seconds by which a call may exceed `turn_timeout` before it is ended."""
_CALL_ENDS = ("turn.cancelled", "llm.response", "llm.failed")
_QUICK = 0.03
"""Seconds below which a reply is too fast to be cancelled or to time out."""


async def cancel(session: ProbeSession) -> None:
    """Cancels a call as soon as it starts, then retries it."""
    if not session.wants("cancel"):
        return
    session.progress("cancel")
    clock: list[Clock] = []
    took: list[float] = []
    cancelling: list[asyncio.Task[None]] = []
    refused: list[str] = []

    async def order(conversation: ProbeConversation) -> None:
        while not took and not conversation.handle.over:
            try:
                await conversation.handle.command(Commands.CANCEL)
                return
            except CommandRefused as refusal:
                refused.append(str(refusal))
                if "does not answer" not in str(refusal):
                    return
                await asyncio.sleep(0.1)

    def on_record(conversation: ProbeConversation, record: RecordDict) -> None:
        kind = record.get("type")
        if kind == "llm.request" and record.get("side") == "provider" and not clock:
            clock.append(Clock())
            cancelling.append(asyncio.ensure_future(order(conversation)))
        elif kind in _CALL_ENDS and clock and not took and record.get("side") == "provider":
            took.append(clock[0].seconds)

    async def before(conversation: ProbeConversation, hold: RecordDict) -> bool:
        if (
            hold.get("reason") == "error"
            and len(conversation.result.errors) == 1
            and _cancelled(hold)
        ):
            # The probe cancelled the call itself: not a failure.
            conversation.result.errors.clear()
            await conversation.choose(hold, "again", "retry")
            return True
        return False

    conversation = ProbeConversation(
        session.subject, "cancel", [QUESTION], before=before, on_record=on_record
    )
    run = session.keep(await conversation.run())
    for task in cancelling:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    blocked = any("does not answer" in reason for reason in refused)
    _judge_cancel(session, run, took[0] if took else None, blocked=blocked)


def _judge_cancel(
    session: ProbeSession, run: ProbeRun, seconds: float | None, *, blocked: bool
) -> None:
    """Adds the finding; `seconds` is how long the call ran after it was cancelled."""
    cancelled = run.of("turn.cancelled")
    took = seconds or 0.0
    late = took > CANCEL_WITHIN
    if blocked or (cancelled and late):
        says = (
            f"the call went on for {took:.2g} s after it was cancelled: its code"
            " blocks the event loop (await, or a plain `def`)"
        )
        session.add("cancel", "fail", says, run, address(cancelled[0] if cancelled else None))
    elif session.failed("cancel", run, "after a cancelled call: " if cancelled else ""):
        pass
    elif not cancelled:
        if late:
            says = f"a reply of {took:.2g} s could not be cancelled: it blocks the event loop"
            session.add("cancel", "fail", says, run)
        else:
            session.add("cancel", "n/a", "it answers faster than it can be cancelled", run)
    elif not run.replies:
        session.add("cancel", "fail", "after a cancelled call the next one said nothing", run)
    else:
        says = f"cancelled within {took:.2g} s; the next call works"
        session.add("cancel", "pass", says, run, address(cancelled[0]))


def _cancelled(hold: RecordDict) -> bool:
    error = hold.get("error") or {}
    return "cancelled" in str(error.get("category")) or "cancelled" in str(hold.get("detail"))


async def timeout(session: ProbeSession) -> None:
    """Sets a `turn_timeout` below the latency of earlier calls."""
    if not session.wants("timeout"):
        return
    if session.latency is None or session.latency < _QUICK:
        session.add("timeout", "n/a", "it answers too fast to be too late")
        return
    session.progress("timeout")
    limit = round(max(0.01, min(1.0, session.latency * 0.3)), 3)
    changes = {"limits": {"turn_timeout": limit}, "retry": {"attempts": 1}}
    run = session.keep(
        await ProbeConversation(session.subject, "timeout", [QUESTION], changes=changes).run()
    )
    failed = run.of("llm.failed", side="provider")
    responses = run.of("llm.response", side="provider")
    if run.hung or run.error is not None:
        session.failed("timeout", run)
    elif failed:
        took = float(failed[0].get("duration") or 0.0)
        error = failed[0].get("error") or {}
        if "turn_timeout" not in str(error.get("message")):
            says = f"it failed before its time was up: {error.get('message')}"
            session.add(
                "timeout", "fail", says, run, address(failed[0]), detail=error.get("frames", ())
            )
        elif took > limit + LATE_BY:
            says = f"ended after {took:.2g} s only, with a turn_timeout of {limit:g} s"
            session.add("timeout", "fail", says, run, address(failed[0]))
        else:
            says = f"ended after {took:.2g} s (turn_timeout {limit:g} s) and told as that"
            session.add("timeout", "pass", says, run, address(failed[0]))
    elif responses and float(responses[0].get("duration") or 0.0) > limit + 0.25:
        took = float(responses[0]["duration"])
        says = (
            f"a reply of {took:.2g} s was not ended by a turn_timeout of {limit:g} s: its code"
            " blocks the event loop (await, or a plain `def`)"
        )
        session.add("timeout", "fail", says, run, address(responses[0]))
    else:
        session.add("timeout", "n/a", "this time it answered before its time was up", run)


async def failed_call(session: ProbeSession) -> None:
    """Makes every call fail by injection: `cleanup()` has to run exactly once."""
    if not session.wants("failed_call"):
        return
    session.progress("failed_call")

    async def before(conversation: ProbeConversation, hold: RecordDict) -> bool:
        if hold.get("reason") == "human":
            await conversation.handle.command(Commands.INJECT, fault="500", count=100)
        return False

    changes = {"retry": {"attempts": 1}}
    conversation = ProbeConversation(
        session.subject, "failed_call", [QUESTION], changes=changes, before=before
    )
    run = session.keep(await conversation.run())
    cleaned = run.of("provider.cleanup")
    failed = run.of("llm.failed", side="provider")
    if run.hung or run.error is not None:
        session.failed("failed_call", run)
    elif len(cleaned) != 1:
        says = f"cleanup() is on record {len(cleaned)} times after a failed call, not once"
        session.add("failed_call", "fail", says, run)
    elif cleaned[0].get("outcome") != "ok":
        error = cleaned[0].get("error") or {}
        says = f"after a failed call: {error.get('message')}"
        session.add("failed_call", "fail", says, run, None, detail=error.get("frames", ()))
    elif not failed:
        if not session.failed("failed_call", run):
            session.add("failed_call", "n/a", "no call failed", run)
    else:
        says = "cleanup() ran once after a call that failed"
        session.add("failed_call", "pass", says, run, address(failed[0]))
