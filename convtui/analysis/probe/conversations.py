"""Probes that talk: coming up, odd messages, tools, sessions that must not know of each other."""

from __future__ import annotations

import asyncio
import json

from convtui.analysis.probe.conversation import ProbeConversation, ProbeRun, address
from convtui.analysis.probe.report import ProbeSession
from convtui.analysis.probe.wording import ASK, MESSAGES, QUESTION, secret, tell
from convtui.client.engine_client import inspect_provider
from convtui.errors import EngineError
from convtui.records.codec import RecordDict

_LEAKY = ("llm.response", "llm.partial", "response.processed", "turn.committed", "tool.called",
          "tool.returned", "provider.output")  # fmt: skip


async def load(bench: ProbeSession) -> bool:
    """Imports and makes the provider; whether that went well.

    Raises `EngineError` for a SPEC that names nothing: there are no frames of a developer then.
    """
    bench.progress("load")
    try:
        found = await inspect_provider(
            bench.subject.spec("load", {}, 2), python=bench.subject.python
        )
    except EngineError as error:
        frames = [str(frame) for frame in error.error.get("frames", ())]
        died = error.error.get("type") == "EngineDied"
        if not (frames or error.error.get("location") or died):
            raise
        bench.add("load", "fail", str(error.error.get("message")), detail=frames)
        return False
    bench.report.provider = found
    near = [f"{name}() is no hook; did you mean {hook}()?" for name, hook in found["near_names"]]
    name, kind = found["identity"]["name"], found["identity"]["kind"]
    call = found["call"] or {}
    wrong = [
        *near,
        *([f"what answers {call['useless_reply']}"] if call.get("useless_reply") else []),
    ]
    if wrong:
        bench.add("load", "fail", wrong[0], detail=wrong[1:])
    elif call.get("notes"):
        bench.add("load", "warn", f"{name} ({kind}) is made; {call['notes'][0]}",
                  detail=call["notes"][1:])  # fmt: skip
    else:
        gets = f"; it gets {call['gets']}" if kind == "vera" else ""
        bench.add("load", "pass", f"{name} ({kind}) is imported and made{gets}")
    return True


async def plain(bench: ProbeSession) -> bool:
    """Two sessions: setup, the order of the hooks, a plain reply, and what the second knows.

    Returns whether the provider comes up at all.
    """
    bench.progress("setup")
    word = secret()
    sessions = list(bench.subject.scenario.get("sessions") or ())
    if len(sessions) < 2:
        sessions = ["first", "second"]

    async def say(talk: ProbeConversation, number: int) -> None:
        at = talk.handle.hold or {}
        first = (at.get("session") or 1) == 1
        text = tell(word) if first else ASK
        talk.messages = [f"{QUESTION} {text}" if number == 0 else text]

    talk = ProbeConversation(
        bench.subject, "plain", [QUESTION], changes={"sessions": sessions}, say=say, per_session=1
    )
    told = bench.plain = bench.keep(await talk.run())
    setup = told.of("provider.setup")
    if not setup or setup[-1].get("outcome") != "ok":
        if not bench.failed("setup", told):
            bench.add("setup", "fail", "setup() was never finished", told)
        return False
    bench.add("setup", "pass", f"setup() took {setup[-1].get('duration', 0):.3g} s", told)
    _hook_order(bench, told)
    _reply(bench, told)
    _reset(bench, told, word)
    return told.error is None and not told.hung


def _hook_order(bench: ProbeSession, told: ProbeRun) -> None:
    wrong = _misorder(told)
    if wrong is None:
        count = len(told.of("session.entered"))
        bench.add("hook_order", "pass", f"as documented, over {count} sessions", told)
        return
    says, record = wrong
    error = (record or {}).get("error") or {}
    bench.add("hook_order", "fail", says, told, address(record), detail=error.get("frames", ()))


def _misorder(told: ProbeRun) -> tuple[str, RecordDict | None] | None:
    """What in the lifecycle is not as it is to be, and the record that shows it."""
    for record in told.of("provider.setup", "session.entered", "session.reset", "provider.cleanup"):
        if record.get("outcome", "ok") != "ok":
            message = (record.get("error") or {}).get("message", "failed")
            return f"{message}", record
    once = {"provider.setup": "setup()", "sessions.prepared": "prepare_sessions()",
            "provider.cleanup": "cleanup()"}  # fmt: skip
    for kind, name in once.items():
        count = len(told.of(kind))
        if count != 1:
            failure = told.failure
            because = f": {failure[0]}" if failure is not None else ""
            return f"{name} is on record {count} times, not once{because}", None
    prepared = told.of("sessions.prepared")[0].get("prepared", [])
    entered = told.of("session.entered")
    if len(entered) < len(prepared):
        failure = told.failure
        because = f": {failure[0]}" if failure is not None else ""
        return f"{len(entered)} of {len(prepared)} sessions were entered{because}", None
    resets = told.of("session.reset")
    if len(resets) < len(prepared) - 1:
        return f"{len(resets)} resets between {len(prepared)} sessions", None
    kinds = [str(record.get("type")) for record in told.records]
    places = [kinds.index(kind) for kind in ("provider.setup", "sessions.prepared",
              "session.entered", "session.started", "provider.cleanup")]  # fmt: skip
    if places != sorted(places):
        return "the lifecycle hooks are not in their order", None
    for response in told.of("llm.response", side="provider"):
        if response.get("tool_calls"):
            continue
        key = [response.get(name) for name in ("session", "turn", "attempt")]
        made = [
            r
            for r in told.of("response.processed", side="provider")
            if [r.get(name) for name in ("session", "turn", "attempt")] == key
        ]
        if len(made) != 1:
            failure = told.failure
            because = f": {failure[0]}" if failure is not None else ""
            return f"a reply was post-processed {len(made)} times, not once{because}", response
    return None


def _reply(bench: ProbeSession, told: ProbeRun) -> None:
    if bench.failed("reply", told):
        return
    said = [r for r in told.said if str(r.get("text", "")).strip()]
    if not said:
        says = "it says nothing to a plain question"
        bench.add("reply", "fail", says, told, address(_last(told)))
        return
    latency = "" if bench.latency is None else f" in {bench.latency:.3g} s"
    bench.add("reply", "pass", f"it answers{latency}", told, address(said[0]))


def _last(told: ProbeRun) -> RecordDict | None:
    found = told.of("turn.committed", "turn.discarded")
    return found[-1] if found else None


def _reset(bench: ProbeSession, told: ProbeRun, word: str) -> None:
    sessions = {record.get("session") for record in told.said}
    if len(sessions) < 2:
        bench.add("reset", "n/a", "there were no two sessions in which it answered", told)
        return
    first = min(s for s in sessions if isinstance(s, int))
    later = [r for r in told.records if (r.get("session") or 0) > first]
    leak = _leak(later, word)
    if leak is None:
        bench.add("reset", "pass", "session 2 does not know what was said in session 1", told)
    elif bench.report.provider.get("stateful"):
        says = "session 2 knows the secret of session 1; it says that it keeps state"
        bench.add("reset", "warn", says, told, address(leak))
    else:
        says = "session 2 knows the secret of session 1: finish_and_reset_session() has to forget"
        bench.add("reset", "fail", says, told, address(leak))


def _leak(records: list[RecordDict], word: str) -> RecordDict | None:
    """The first record of the provider in which a secret stands."""
    for record in records:
        if record.get("type") not in _LEAKY or record.get("speaker") == "persona":
            continue
        if record.get("side") == "persona":
            continue
        if word in json.dumps(record, ensure_ascii=False, default=str):
            return record
    return None


async def messages(bench: ProbeSession) -> None:
    """One conversation for each odd message: what it does to one must not spoil the next."""
    for name, text in MESSAGES.items():
        if not bench.wants(name):
            continue
        bench.progress(name)
        told = bench.keep(await ProbeConversation(bench.subject, name, [text]).run())
        error = (told.errors[0].get("error") or {}) if told.errors else {}
        refused = error.get("type") in ("BadModelRequest", "ContextTooLong")
        if (refused or (name == "surrogates" and error)) and not told.hung:
            says = f"it is refused: {error.get('message')}"
            bench.add(name, "warn", says, told, address(told.errors[0]))
        elif not bench.failed(name, told):
            said = told.said[-1] if told.said else None
            if said is None or not str(said.get("text", "")).strip():
                bench.add(name, "warn", "it says nothing to it", told, address(said or _last(told)))
            else:
                replaced = any(r.get("code") == "lone_surrogates" for r in told.of("warning"))
                says = "it answers; U+FFFD was sent in their place" if replaced else "it answers"
                bench.add(name, "pass", says, told, address(said))


async def tool_call(bench: ProbeSession) -> None:
    """Asks for a call of its first tool."""
    if not bench.wants("tool_call"):
        return
    requests = bench.plain.of("llm.request", side="provider") if bench.plain is not None else []
    names = next((r["tools"] for r in requests if r.get("tools")), None)
    if not names:
        bench.add("tool_call", "n/a", "it has no tools")
        return
    bench.progress("tool_call")
    ask = (
        f"Please call the tool {names[0]} now, with arguments that make sense for a trial, and"
        " tell me what it gave."
    )
    changes = {"approve_tools": False}
    told = bench.keep(
        await ProbeConversation(bench.subject, "tool_call", [ask], changes=changes).run()
    )
    if bench.failed("tool_call", told):
        return
    returned = told.of("tool.returned")
    bad = next((r for r in returned if not r.get("ok")), None)
    if bad is not None:
        says = f"{bad.get('name')} gave no result: {bad.get('error_kind')}: {bad.get('result')}"
        bench.add("tool_call", "fail", says[:400], told, address(bad))
    elif not returned:
        says = f"the model made no call of {names[0]}, although it was asked to"
        bench.add("tool_call", "warn", says, told, address(_last(told)))
    else:
        says = f"{returned[0].get('name')} was called and gave a result"
        bench.add("tool_call", "pass", says, told, address(returned[0]))


async def two_at_once(bench: ProbeSession) -> None:
    """Two conversations in step, each with a secret of its own that it is then asked for."""
    if not bench.wants("two_at_once"):
        return
    bench.progress("two_at_once")
    words = (secret(), secret())
    together = asyncio.Barrier(2)

    async def say(talk: ProbeConversation, number: int) -> None:
        try:
            await together.wait()
        except asyncio.BrokenBarrierError:
            return  # the other one has ended

    async def one(name: str, word: str) -> ProbeRun:
        try:
            messages = [tell(word), ASK]
            return await ProbeConversation(
                bench.subject, f"two_at_once_{name}", messages, say=say
            ).run()
        finally:
            await together.abort()

    both = await asyncio.gather(*(one(n, w) for n, w in zip(("a", "b"), words, strict=True)))
    for told in both:
        bench.keep(told)
    for told, other in zip(both, reversed(words), strict=True):
        leak = _leak(told.records, other)
        if leak is not None:
            says = "it says what was told to it in another conversation at the same time"
            bench.add("two_at_once", "fail", says, told, address(leak))
            return
    for told in both:
        if bench.failed("two_at_once", told, "with two at once: "):
            return
    bench.add("two_at_once", "pass", "neither knows the other's secret", both[0])
