"""Probes of the hooks: raw replies are injected, the provider makes no calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convtui.analysis.probe.conversation import ProbeConversation, ProbeRun, address
from convtui.analysis.probe.report import ProbeSession
from convtui.analysis.probe.wording import ODD
from convtui.protocol import Commands
from convtui.records.codec import RecordDict

SLOW = 1.0
"""Seconds within which a hook should process one reply."""
_PLAIN = "Certainly. <think>They want to know.</think>Here is what I can do for you."


async def _inject(session: ProbeSession, probe: str, replies: Sequence[str]) -> ProbeRun:
    """Holds a conversation in which the provider's raw replies are `replies`."""
    index = 0

    async def before(conversation: ProbeConversation, hold: RecordDict) -> bool:
        nonlocal index
        reason = hold.get("reason")
        if reason == "human" and index < len(replies):
            await conversation.handle.command(
                Commands.INJECT, fault="error_text", text=replies[index]
            )
            index += 1
            return False
        if reason == "human":
            await conversation.stop()
            return True
        if reason == "error":
            # A hook failed: continue with the next reply.
            await conversation.choose(hold, "skip", "keep", "supply", text="(failed)")
            return True
        if reason == "ending" and index < len(replies):
            await conversation.choose(hold, "override")
            return True
        return False

    changes = {"on_discard": "skip", "limits": {"turn_timeout": 60.0}}
    messages = [f"message {number}" for number in range(1, len(replies) + 1)]
    # Overridden endings and skipped turns take additional turns.
    conversation = ProbeConversation(
        session.subject, probe, messages, changes=changes, before=before,
        per_session=3 * len(replies) + 2,
    )  # fmt: skip
    return session.keep(await conversation.run())


def _turn_of(run: ProbeRun, raw: str, nth: int = 0) -> list[RecordDict]:
    """The records of the turn in which a raw reply occurred for the `nth` time, counted from 0."""
    calls = [r for r in run.of("llm.response", side="provider") if r.get("raw") == raw]
    if nth >= len(calls):
        return []
    key = [calls[nth].get(name) for name in ("session", "turn", "attempt")]
    return [r for r in run.records if [r.get(n) for n in ("session", "turn", "attempt")] == key]


async def odd(session: ProbeSession) -> None:
    """Injects empty, huge and malformed replies."""
    if not session.wants("hooks_odd"):
        return
    session.progress("hooks_odd")
    run = await _inject(session, "hooks_odd", list(ODD.values()))
    if run.hung or run.error is not None:
        session.failed("hooks_odd", run)
        return
    names = {raw: name for name, raw in ODD.items()}
    slow: tuple[float, str, RecordDict] | None = None
    for hold in run.errors:
        error = hold.get("error") or {}
        responses = [r for r in run.of("llm.response") if r.get("turn") == hold.get("turn")]
        raw = str(responses[-1].get("raw")) if responses else ""
        what = names.get(raw, "a reply")
        says = f"{what}: {error.get('message') or hold.get('detail')}"
        session.add("hooks_odd", "fail", says, run, address(hold), detail=error.get("frames", ()))
        return
    for name, raw in ODD.items():
        for record in _turn_of(run, raw):
            took = record.get("duration")
            if record.get("type") in ("signals.extracted", "response.processed") and (
                isinstance(took, float) and took > SLOW and (slow is None or took > slow[0])
            ):
                slow = (took, name, record)
    taken = sum(bool(_turn_of(run, raw)) for raw in ODD.values())
    if taken < len(ODD):
        says = f"only {taken} of {len(ODD)} replies came through: the conversation ended"
        session.add("hooks_odd", "warn", says, run)
    elif slow is not None:
        says = f"a hook took {slow[0]:.1f} s for {slow[1]}"
        session.add("hooks_odd", "warn", says, run, address(slow[2]))
    else:
        session.add("hooks_odd", "pass", f"all {len(ODD)} replies came through", run)


async def same(session: ProbeSession) -> None:
    """Injects the same replies twice: a plain one, and one with each declared signal."""
    if not session.wants("hooks_same"):
        return
    session.progress("hooks_same")
    signals = [str(signal) for signal in session.report.provider.get("termination_signals", ())]
    replies = [_PLAIN, *(f"Wait. {signal} That was it." for signal in signals[:8])]
    run = await _inject(session, "hooks_same", [*replies, *replies])
    if session.failed("hooks_same", run):
        return
    compared = 0
    for raw in replies:
        first, second = _turn_of(run, raw), _turn_of(run, raw, 1)
        if not (first and second):
            continue
        compared += 1
        for what, before, after in zip(
            ("the signals", "the shown text", "what is dropped"),
            _hook_results(first), _hook_results(second), strict=True,
        ):  # fmt: skip
            if before != after:
                says = f"{what} of the same reply differ: {before!r:.80} and then {after!r:.80}"
                session.add("hooks_same", "fail", says, run, address(second[0]))
                return
    if compared < len(replies):
        says = f"only {compared} of {len(replies)} replies came through twice"
        session.add("hooks_same", "warn", says, run)
    else:
        session.add("hooks_same", "pass", f"the same twice, for {compared} replies", run)


def _hook_results(records: Sequence[RecordDict]) -> tuple[Any, Any, Any]:
    """What the hooks returned for a reply: signals, texts, whether it was discarded."""
    signals = [r.get("matches") for r in records if r.get("type") == "signals.extracted"]
    texts = [r.get("text") for r in records if r.get("type") == "response.processed"]
    dropped = any(r.get("type") == "turn.discarded" for r in records)
    return signals, texts, dropped
