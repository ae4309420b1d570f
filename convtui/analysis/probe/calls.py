"""Probes of calls: cancelled, too slow, failed."""

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
"""Seconds within which a cancelled call has to be over."""
LATE_BY = 1.0
"""Seconds by which a call may be longer than `turn_timeout` until it is ended."""
_CALL_ENDS = ("turn.cancelled", "llm.response", "llm.failed")
_QUICK = 0.03
"""Seconds under which a reply cannot be cancelled, nor be too late."""


async def cancel(bench: ProbeSession) -> None:
    """Cancels a call as soon as it is made, then makes it again."""
    if not bench.wants("cancel"):
        return
    bench.progress("cancel")
    clock: list[Clock] = []
    took: list[float] = []
    cancelling: list[asyncio.Task[None]] = []
    refused: list[str] = []

    async def order(talk: ProbeConversation) -> None:
        while not took and not talk.handle.over:
            try:
                await talk.handle.command(Commands.CANCEL)
                return
            except CommandRefused as refusal:
                refused.append(str(refusal))
                if "does not answer" not in str(refusal):
                    return
                await asyncio.sleep(0.1)

    def on_record(talk: ProbeConversation, record: RecordDict) -> None:
        kind = record.get("type")
        if kind == "llm.request" and record.get("side") == "provider" and not clock:
            clock.append(Clock())
            cancelling.append(asyncio.ensure_future(order(talk)))
        elif kind in _CALL_ENDS and clock and not took and record.get("side") == "provider":
            took.append(clock[0].seconds)

    async def before(talk: ProbeConversation, hold: RecordDict) -> bool:
        if hold.get("reason") == "error" and len(talk.told.errors) == 1 and _cancelled(hold):
            # What was cancelled on purpose is no failure.
            talk.told.errors.clear()
            await talk.choose(hold, "again", "retry")
            return True
        return False

    talk = ProbeConversation(
        bench.subject, "cancel", [QUESTION], before=before, on_record=on_record
    )
    told = bench.keep(await talk.run())
    for task in cancelling:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    blocked = any("does not answer" in reason for reason in refused)
    _judge_cancel(bench, told, took[0] if took else None, blocked=blocked)


def _judge_cancel(
    bench: ProbeSession, told: ProbeRun, seconds: float | None, *, blocked: bool
) -> None:
    """Adds the finding; `seconds` is how long the call went on after it was cancelled."""
    cancelled = told.of("turn.cancelled")
    took = seconds or 0.0
    late = took > CANCEL_WITHIN
    if blocked or (cancelled and late):
        says = (
            f"the call went on for {took:.2g} s after it was cancelled: its code"
            " blocks the event loop (await, or a plain `def`)"
        )
        bench.add("cancel", "fail", says, told, address(cancelled[0] if cancelled else None))
    elif bench.failed("cancel", told, "after a cancelled call: " if cancelled else ""):
        pass
    elif not cancelled:
        if late:
            says = f"a reply of {took:.2g} s could not be cancelled: it blocks the event loop"
            bench.add("cancel", "fail", says, told)
        else:
            bench.add("cancel", "n/a", "it answers faster than it can be cancelled", told)
    elif not told.said:
        bench.add("cancel", "fail", "after a cancelled call the next one said nothing", told)
    else:
        says = f"cancelled within {took:.2g} s; the next call works"
        bench.add("cancel", "pass", says, told, address(cancelled[0]))


def _cancelled(hold: RecordDict) -> bool:
    error = hold.get("error") or {}
    return "cancelled" in str(error.get("category")) or "cancelled" in str(hold.get("detail"))


async def timeout(bench: ProbeSession) -> None:
    """Gives a call less time than it took before."""
    if not bench.wants("timeout"):
        return
    if bench.latency is None or bench.latency < _QUICK:
        bench.add("timeout", "n/a", "it answers too fast to be too late")
        return
    bench.progress("timeout")
    limit = round(max(0.01, min(1.0, bench.latency * 0.3)), 3)
    changes = {"limits": {"turn_timeout": limit}, "retry": {"attempts": 1}}
    told = bench.keep(
        await ProbeConversation(bench.subject, "timeout", [QUESTION], changes=changes).run()
    )
    failed = told.of("llm.failed", side="provider")
    said = told.of("llm.response", side="provider")
    if told.hung or told.error is not None:
        bench.failed("timeout", told)
    elif failed:
        took = float(failed[0].get("duration") or 0.0)
        error = failed[0].get("error") or {}
        if "turn_timeout" not in str(error.get("message")):
            says = f"it failed before its time was up: {error.get('message')}"
            bench.add(
                "timeout", "fail", says, told, address(failed[0]), detail=error.get("frames", ())
            )
        elif took > limit + LATE_BY:
            says = f"ended after {took:.2g} s only, with a turn_timeout of {limit:g} s"
            bench.add("timeout", "fail", says, told, address(failed[0]))
        else:
            says = f"ended after {took:.2g} s (turn_timeout {limit:g} s) and told as that"
            bench.add("timeout", "pass", says, told, address(failed[0]))
    elif said and float(said[0].get("duration") or 0.0) > limit + 0.25:
        took = float(said[0]["duration"])
        says = (
            f"a reply of {took:.2g} s was not ended by a turn_timeout of {limit:g} s: its code"
            " blocks the event loop (await, or a plain `def`)"
        )
        bench.add("timeout", "fail", says, told, address(said[0]))
    else:
        bench.add("timeout", "n/a", "this time it answered before its time was up", told)


async def failed_call(bench: ProbeSession) -> None:
    """A call that fails for good: its provider is cleaned up, once. Nothing is asked of it."""
    if not bench.wants("failed_call"):
        return
    bench.progress("failed_call")

    async def before(talk: ProbeConversation, hold: RecordDict) -> bool:
        if hold.get("reason") == "human":
            await talk.handle.command(Commands.INJECT, fault="500", count=100)
        return False

    changes = {"retry": {"attempts": 1}}
    talk = ProbeConversation(
        bench.subject, "failed_call", [QUESTION], changes=changes, before=before
    )
    told = bench.keep(await talk.run())
    cleaned = told.of("provider.cleanup")
    failed = told.of("llm.failed", side="provider")
    if told.hung or told.error is not None:
        bench.failed("failed_call", told)
    elif len(cleaned) != 1:
        says = f"cleanup() is on record {len(cleaned)} times after a failed call, not once"
        bench.add("failed_call", "fail", says, told)
    elif cleaned[0].get("outcome") != "ok":
        error = cleaned[0].get("error") or {}
        says = f"after a failed call: {error.get('message')}"
        bench.add("failed_call", "fail", says, told, None, detail=error.get("frames", ()))
    elif not failed:
        if not bench.failed("failed_call", told):
            bench.add("failed_call", "n/a", "no call failed", told)
    else:
        says = "cleanup() ran once after a call that failed"
        bench.add("failed_call", "pass", says, told, address(failed[0]))
