"""Probes that hold conversations: coming up, odd messages, tools, isolation of sessions."""

from __future__ import annotations

import asyncio
import json

from convtui.analysis.probe.conversation import ProbeConversation, ProbeRun, address
from convtui.analysis.probe.report import ProbeSession
from convtui.analysis.probe.wording import ASK, MESSAGES, QUESTION, secret, tell
from convtui.client.engine_client import inspect_provider
from convtui.errors import EngineError
from convtui.records.codec import RecordDict
from convtui.text.counts import counted

_LEAKY = ("llm.response", "llm.partial", "response.processed", "turn.committed", "tool.called",
          "tool.returned", "provider.output")  # fmt: skip


async def load(session: ProbeSession) -> bool:
    """Imports and instantiates the provider; returns whether that succeeded.

    Raises `EngineError` for a SPEC that names nothing: the developer has no code to look at then.
    """
    session.progress("load")
    try:
        description = await inspect_provider(
            session.subject.spec("load", {}, 2), python=session.subject.python
        )
    except EngineError as error:
        frames = [str(frame) for frame in error.error.get("frames", ())]
        died = error.error.get("type") == "EngineDied"
        if not (frames or error.error.get("location") or died):
            raise
        session.add("load", "fail", str(error.error.get("message")), detail=frames)
        return False
    session.report.provider = description
    near = [
        f"{name}() is no hook; did you mean {hook}()?" for name, hook in description["near_names"]
    ]
    name, kind = description["identity"]["name"], description["identity"]["kind"]
    call = description["call"] or {}
    wrong = [
        *near,
        *([f"what answers {call['useless_reply']}"] if call.get("useless_reply") else []),
    ]
    if wrong:
        session.add("load", "fail", wrong[0], detail=wrong[1:])
    elif call.get("notes"):
        session.add("load", "warn", f"{name} ({kind}) is made; {call['notes'][0]}",
                  detail=call["notes"][1:])  # fmt: skip
    else:
        gets = f"; it gets {call['gets']}" if kind == "vera" else ""
        session.add("load", "pass", f"{name} ({kind}) is imported and made{gets}")
    return True


async def plain(session: ProbeSession) -> bool:
    """Holds two sessions: setup, order of the hooks, a plain reply, state kept between sessions.

    Returns whether the provider comes up at all.
    """
    session.progress("setup")
    code_word = secret()
    sessions = list(session.subject.scenario.get("sessions") or ())
    if len(sessions) < 2:
        sessions = ["first", "second"]

    async def say(conversation: ProbeConversation, number: int) -> None:
        hold = conversation.handle.hold or {}
        first = (hold.get("session") or 1) == 1
        text = tell(code_word) if first else ASK
        conversation.messages = [f"{QUESTION} {text}" if number == 0 else text]

    conversation = ProbeConversation(
        session.subject, "plain", [QUESTION], changes={"sessions": sessions}, say=say, per_session=1
    )
    run = session.plain = session.keep(await conversation.run())
    setup = run.of("provider.setup")
    if not setup or setup[-1].get("outcome") != "ok":
        if not session.failed("setup", run):
            session.add("setup", "fail", "setup() was never finished", run)
        return False
    session.add("setup", "pass", f"setup() took {setup[-1].get('duration', 0):.3g} s", run)
    _hook_order(session, run)
    _reply(session, run)
    _reset(session, run, code_word)
    return run.error is None and not run.hung


def _hook_order(session: ProbeSession, run: ProbeRun) -> None:
    wrong = _misorder(run)
    if wrong is None:
        count = len(run.of("session.entered"))
        session.add("hook_order", "pass", f"as documented, over {counted(count, 'session')}", run)
        return
    says, record = wrong
    error = (record or {}).get("error") or {}
    session.add("hook_order", "fail", says, run, address(record), detail=error.get("frames", ()))


def _misorder(run: ProbeRun) -> tuple[str, RecordDict | None] | None:
    """The first violation of the lifecycle, and the record that shows it; None without one."""
    for record in run.of("provider.setup", "session.entered", "session.reset", "provider.cleanup"):
        if record.get("outcome", "ok") != "ok":
            message = (record.get("error") or {}).get("message", "failed")
            return f"{message}", record
    once = {"provider.setup": "setup()", "sessions.prepared": "prepare_sessions()",
            "provider.cleanup": "cleanup()"}  # fmt: skip
    for kind, name in once.items():
        count = len(run.of(kind))
        if count != 1:
            failure = run.failure
            because = f": {failure[0]}" if failure is not None else ""
            return f"{name} is on record {count} times, not once{because}", None
    prepared = run.of("sessions.prepared")[0].get("prepared", [])
    entered = run.of("session.entered")
    if len(entered) < len(prepared):
        failure = run.failure
        because = f": {failure[0]}" if failure is not None else ""
        return f"{len(entered)} of {len(prepared)} sessions were entered{because}", None
    resets = run.of("session.reset")
    if len(resets) < len(prepared) - 1:
        return f"{counted(len(resets), 'reset')} between {counted(len(prepared), 'session')}", None
    kinds = [str(record.get("type")) for record in run.records]
    positions = [kinds.index(kind) for kind in ("provider.setup", "sessions.prepared",
              "session.entered", "session.started", "provider.cleanup")]  # fmt: skip
    if positions != sorted(positions):
        return "the lifecycle hooks are not in their order", None
    for response in run.of("llm.response", side="provider"):
        if response.get("tool_calls"):
            continue
        key = [response.get(name) for name in ("session", "turn", "attempt")]
        made = [
            r
            for r in run.of("response.processed", side="provider")
            if [r.get(name) for name in ("session", "turn", "attempt")] == key
        ]
        if len(made) != 1:
            failure = run.failure
            because = f": {failure[0]}" if failure is not None else ""
            return f"a reply was post-processed {len(made)} times, not once{because}", response
    return None


def _reply(session: ProbeSession, run: ProbeRun) -> None:
    if session.failed("reply", run):
        return
    replies = [r for r in run.replies if str(r.get("text", "")).strip()]
    if not replies:
        says = "it says nothing to a plain question"
        session.add("reply", "fail", says, run, address(_last(run)))
        return
    latency = "" if session.latency is None else f" in {session.latency:.3g} s"
    session.add("reply", "pass", f"it answers{latency}", run, address(replies[0]))


def _last(run: ProbeRun) -> RecordDict | None:
    turns = run.of("turn.committed", "turn.discarded")
    return turns[-1] if turns else None


def _reset(session: ProbeSession, run: ProbeRun, code_word: str) -> None:
    sessions = {record.get("session") for record in run.replies}
    if len(sessions) < 2:
        session.add("reset", "n/a", "there were no two sessions in which it answered", run)
        return
    first = min(s for s in sessions if isinstance(s, int))
    later = [r for r in run.records if (r.get("session") or 0) > first]
    leak = _leak(later, code_word)
    if leak is None:
        session.add("reset", "pass", "session 2 does not know what was said in session 1", run)
    elif session.report.provider.get("stateful"):
        says = "session 2 knows the secret of session 1; it says that it keeps state"
        session.add("reset", "warn", says, run, address(leak))
    else:
        says = "session 2 knows the secret of session 1: finish_and_reset_session() has to forget"
        session.add("reset", "fail", says, run, address(leak))


def _leak(records: list[RecordDict], code_word: str) -> RecordDict | None:
    """The first record of the provider that contains a code word."""
    for record in records:
        if record.get("type") not in _LEAKY or record.get("speaker") == "persona":
            continue
        if record.get("side") == "persona":
            continue
        if code_word in json.dumps(record, ensure_ascii=False, default=str):
            return record
    return None


async def messages(session: ProbeSession) -> None:
    """Holds one conversation per odd message, so that a failure does not affect the next."""
    for name, text in MESSAGES.items():
        if not session.wants(name):
            continue
        session.progress(name)
        run = session.keep(await ProbeConversation(session.subject, name, [text]).run())
        error = (run.errors[0].get("error") or {}) if run.errors else {}
        refused = error.get("type") in ("BadModelRequest", "ContextTooLong")
        if (refused or (name == "surrogates" and error)) and not run.hung:
            says = f"it is refused: {error.get('message')}"
            session.add(name, "warn", says, run, address(run.errors[0]))
        elif not session.failed(name, run):
            reply = run.replies[-1] if run.replies else None
            if reply is None or not str(reply.get("text", "")).strip():
                session.add(
                    name, "warn", "it says nothing to it", run, address(reply or _last(run))
                )
            else:
                replaced = any(r.get("code") == "lone_surrogates" for r in run.of("warning"))
                says = "it answers; U+FFFD was sent in their place" if replaced else "it answers"
                session.add(name, "pass", says, run, address(reply))


async def tool_call(session: ProbeSession) -> None:
    """Asks for a call of the provider's first tool."""
    if not session.wants("tool_call"):
        return
    requests = session.plain.of("llm.request", side="provider") if session.plain is not None else []
    names = next((r["tools"] for r in requests if r.get("tools")), None)
    if not names:
        session.add("tool_call", "n/a", "it has no tools")
        return
    session.progress("tool_call")
    ask = (
        f"Please call the tool {names[0]} now, with arguments that make sense for a trial, and"
        " tell me what it gave."
    )
    changes = {"approve_tools": False}
    run = session.keep(
        await ProbeConversation(session.subject, "tool_call", [ask], changes=changes).run()
    )
    if session.failed("tool_call", run):
        return
    returned = run.of("tool.returned")
    bad = next((r for r in returned if not r.get("ok")), None)
    if bad is not None:
        says = f"{bad.get('name')} gave no result: {bad.get('error_kind')}: {bad.get('result')}"
        session.add("tool_call", "fail", says[:400], run, address(bad))
    elif not returned:
        says = f"the model made no call of {names[0]}, although it was asked to"
        session.add("tool_call", "warn", says, run, address(_last(run)))
    else:
        says = f"{returned[0].get('name')} was called and gave a result"
        session.add("tool_call", "pass", says, run, address(returned[0]))


async def two_at_once(session: ProbeSession) -> None:
    """Holds two conversations in lockstep, each with its own code word."""
    if not session.wants("two_at_once"):
        return
    session.progress("two_at_once")
    code_words = (secret(), secret())
    barrier = asyncio.Barrier(2)

    async def say(conversation: ProbeConversation, number: int) -> None:
        try:
            await barrier.wait()
        except asyncio.BrokenBarrierError:
            return  # the other conversation has ended

    async def one(name: str, code_word: str) -> ProbeRun:
        try:
            messages = [tell(code_word), ASK]
            return await ProbeConversation(
                session.subject, f"two_at_once_{name}", messages, say=say
            ).run()
        finally:
            await barrier.abort()

    both = await asyncio.gather(
        *(one(name, word) for name, word in zip(("a", "b"), code_words, strict=True))
    )
    for run in both:
        session.keep(run)
    for run, other in zip(both, reversed(code_words), strict=True):
        leak = _leak(run.records, other)
        if leak is not None:
            says = "it says what was told to it in another conversation at the same time"
            session.add("two_at_once", "fail", says, run, address(leak))
            return
    for run in both:
        if session.failed("two_at_once", run, "with two at once: "):
            return
    session.add("two_at_once", "pass", "neither knows the other's secret", both[0])
