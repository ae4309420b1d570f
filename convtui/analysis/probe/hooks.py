"""Probes of the hooks: raw replies are put in, the provider is not asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convtui.analysis.probe.conversation import ProbeConversation, ProbeRun, address
from convtui.analysis.probe.report import ProbeSession
from convtui.analysis.probe.wording import ODD
from convtui.protocol import Commands
from convtui.records.codec import RecordDict

SLOW = 1.0
"""Seconds that a hook may take for one reply."""
_PLAIN = "Certainly. <think>They want to know.</think>Here is what I can do for you."


async def _put_in(bench: ProbeSession, probe: str, replies: Sequence[str]) -> ProbeRun:
    """A conversation in which the provider's raw replies are these."""
    at = 0

    async def before(talk: ProbeConversation, hold: RecordDict) -> bool:
        nonlocal at
        reason = hold.get("reason")
        if reason == "human" and at < len(replies):
            await talk.handle.command(Commands.INJECT, fault="error_text", text=replies[at])
            at += 1
            return False
        if reason == "human":
            await talk.stop()
            return True
        if reason == "error":
            # A hook failed: on with the next reply.
            await talk.choose(hold, "skip", "keep", "supply", text="(failed)")
            return True
        if reason == "ending" and at < len(replies):
            await talk.choose(hold, "override")
            return True
        return False

    changes = {"on_discard": "skip", "limits": {"turn_timeout": 60.0}}
    messages = [f"message {number}" for number in range(1, len(replies) + 1)]
    # Overridden endings and skipped turns make it longer than it looks.
    talk = ProbeConversation(
        bench.subject, probe, messages, changes=changes, before=before,
        per_session=3 * len(replies) + 2,
    )  # fmt: skip
    return bench.keep(await talk.run())


def _turn_of(told: ProbeRun, raw: str, nth: int = 0) -> list[RecordDict]:
    """The records of the turn in which a raw reply came, the `nth` time."""
    calls = [r for r in told.of("llm.response", side="provider") if r.get("raw") == raw]
    if nth >= len(calls):
        return []
    where = [calls[nth].get(name) for name in ("session", "turn", "attempt")]
    return [r for r in told.records if [r.get(n) for n in ("session", "turn", "attempt")] == where]


async def odd(bench: ProbeSession) -> None:
    """Replies that no model ought to give, and some that every model gives once."""
    if not bench.wants("hooks_odd"):
        return
    bench.progress("hooks_odd")
    told = await _put_in(bench, "hooks_odd", list(ODD.values()))
    if told.hung or told.error is not None:
        bench.failed("hooks_odd", told)
        return
    names = {raw: name for name, raw in ODD.items()}
    slow: tuple[float, str, RecordDict] | None = None
    for hold in told.errors:
        error = hold.get("error") or {}
        responses = [r for r in told.of("llm.response") if r.get("turn") == hold.get("turn")]
        raw = str(responses[-1].get("raw")) if responses else ""
        what = names.get(raw, "a reply")
        says = f"{what}: {error.get('message') or hold.get('detail')}"
        bench.add("hooks_odd", "fail", says, told, address(hold), detail=error.get("frames", ()))
        return
    for name, raw in ODD.items():
        for record in _turn_of(told, raw):
            took = record.get("duration")
            if record.get("type") in ("signals.extracted", "response.processed") and (
                isinstance(took, float) and took > SLOW and (slow is None or took > slow[0])
            ):
                slow = (took, name, record)
    taken = sum(bool(_turn_of(told, raw)) for raw in ODD.values())
    if taken < len(ODD):
        says = f"only {taken} of {len(ODD)} replies came through: the conversation ended"
        bench.add("hooks_odd", "warn", says, told)
    elif slow is not None:
        says = f"a hook took {slow[0]:.1f} s for {slow[1]}"
        bench.add("hooks_odd", "warn", says, told, address(slow[2]))
    else:
        bench.add("hooks_odd", "pass", f"all {len(ODD)} replies came through", told)


async def same(bench: ProbeSession) -> None:
    """The same replies twice: plain, and with each declared signal."""
    if not bench.wants("hooks_same"):
        return
    bench.progress("hooks_same")
    signals = [str(signal) for signal in bench.report.provider.get("termination_signals", ())]
    replies = [_PLAIN, *(f"Wait. {signal} That was it." for signal in signals[:8])]
    told = await _put_in(bench, "hooks_same", [*replies, *replies])
    if bench.failed("hooks_same", told):
        return
    compared = 0
    for raw in replies:
        first, second = _turn_of(told, raw), _turn_of(told, raw, 1)
        if not (first and second):
            continue
        compared += 1
        for what, before, after in zip(
            ("the signals", "the shown text", "what is dropped"),
            _made(first), _made(second), strict=True,
        ):  # fmt: skip
            if before != after:
                says = f"{what} of the same reply differ: {before!r:.80} and then {after!r:.80}"
                bench.add("hooks_same", "fail", says, told, address(second[0]))
                return
    if compared < len(replies):
        says = f"only {compared} of {len(replies)} replies came through twice"
        bench.add("hooks_same", "warn", says, told)
    else:
        bench.add("hooks_same", "pass", f"the same twice, for {compared} replies", told)


def _made(records: Sequence[RecordDict]) -> tuple[Any, Any, Any]:
    """What the hooks made of a reply: the signals, the text, whether it was dropped."""
    signals = [r.get("matches") for r in records if r.get("type") == "signals.extracted"]
    texts = [r.get("text") for r in records if r.get("type") == "response.processed"]
    dropped = any(r.get("type") == "turn.discarded" for r in records)
    return signals, texts, dropped
