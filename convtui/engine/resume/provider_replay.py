"""Replaying a prefix: a provider that cannot be restored is asked again what it was asked before.

Its answers are compared with the record. What is on record stands: it is what the provider is sent
as history, also where it answers otherwise now, and the results of tools are those on record: no
tool runs again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from convtui.engine.calls.calls import Caller
from convtui.engine.calls.request import CallRequest
from convtui.engine.core.gate import CONTINUE, FAIL, RETRY, Gate, Point
from convtui.engine.core.journal import Journal
from convtui.engine.core.pending import Pending
from convtui.engine.core.sides import CheckedHooks
from convtui.engine.core.state import ConversationState, SessionState
from convtui.engine.rehook.replayed_hooks import drive
from convtui.engine.resume.state import ResumeState
from convtui.engine.tools.tools import Toolbox
from convtui.engine.turn.pipeline import Rules
from convtui.engine.turn.provider_turn import chat
from convtui.errors import ConversationError
from convtui.models.base import Message, Reply
from convtui.protocol import describe_error
from convtui.providers.base import HistoryTurn, Provider, Request
from convtui.providers.declared import model_of
from convtui.providers.litellm import LitellmProvider
from convtui.records.models import ProviderRestored, Warned
from convtui.scenario.scenario import Scenario
from convtui.text.boundary import one_line

_SHOWN: Final = 60
"""Characters of each answer that a warning about drift quotes."""


@dataclass(slots=True)
class _Given:
    """What the provider answered in one turn, then or now."""

    calls: list[str]
    """The tool calls, round by round, each as `name(arguments)`."""
    text: str

    @property
    def whole(self) -> str:
        """The calls, one per line, and the text."""
        return "\n".join([*(f"-> {call}" for call in self.calls), self.text])


class ProviderReplay:
    """Takes a new provider through the recorded turns, session by session."""

    def __init__(
        self,
        *,
        scenario: Scenario,
        journal: Journal,
        gate: Gate,
        caller: Caller,
        state: ConversationState,
        provider: Provider,
        toolbox: Toolbox,
        seed: ResumeState,
        redact: Callable[[str], str],
    ) -> None:
        self._scenario = scenario
        self._journal = journal
        self._gate = gate
        self._caller = caller
        self._state = state
        self._provider = provider
        self._toolbox = toolbox
        self._seed = seed
        self._redact = redact
        self._hooks = CheckedHooks(provider)
        self._items = {(int(item["session"]), int(item["turn"])): item for item in seed.turns}
        self._again = ConversationState(scenario, state.warm)
        self._again.reflections = state.reflections
        self._asked = 0
        self._drift: list[dict[str, Any]] = []
        self._began = asyncio.get_running_loop().time()

    def sessions_differ(self, prepared: Sequence[str]) -> None:
        """Records drift if `prepare_sessions()` returns other sessions now."""
        before = self._state.prepared
        if list(prepared) != before:
            self._drift.append(
                {"what": "sessions", "recorded": ", ".join(before), "replayed": ", ".join(prepared)}
            )
            self._journal.emit(
                Warned(
                    code="drift",
                    message=f"drift: prepare_sessions() gives {', '.join(prepared)} now, not"
                    f" {', '.join(before)}; the sessions on record stand",
                )
            )

    async def turns(self, index: int) -> None:
        """Asks for every answer of a session again.

        A call that fails holds; raises its `ConversationError` when it is to fail.
        """
        recorded = self._state.sessions.get(index)
        if recorded is None:
            return
        self._journal.current.move_to(index, side="provider")
        session = self._again.open_session(index, recorded.session_type, recorded.first_speaker)
        summary = self._seed.compressed.get(index)
        for turn in recorded.turns:
            session.numbers = turn.turn
            if turn.speaker == "provider" and self._was_asked(session, turn):
                await self._compare(session, turn)
            self._again.commit(session, turn)
            if summary is not None and int(summary["upto"]) == turn.turn:
                self._again.compress(session, str(summary["summary"]))
        pending = self._seed.pending
        if pending is not None and pending.side == "provider" and index == self._seed.current:
            session.numbers = pending.number
            await self._compare_pending(session, pending)

    def done(self) -> None:
        """Records the result of the replay."""
        loop = asyncio.get_running_loop()
        self._journal.emit(
            ProviderRestored(
                mode="replayed",
                duration=round(loop.time() - self._began, 4),
                answers=self._asked,
                drift=self._drift or None,
            )
        )

    # --- one answer

    def _was_asked(self, session: SessionState, turn: HistoryTurn) -> bool:
        """Whether the provider was asked for this turn, or somebody else said it."""
        item = self._items.get((turn.session, turn.turn), {})
        config = self._scenario.provider
        said_unasked = (
            not session.turns
            and config.first_message is not None
            and not self._provider.opens_itself
        )
        return not said_unasked and (not item.get("human") or bool(item.get("draft")))

    async def _compare(self, session: SessionState, turn: HistoryTurn) -> None:
        item = self._items.get((turn.session, turn.turn), {})
        text = turn.text if turn.reply is None else turn.reply
        then = _Given(_called(turn.messages), text)
        now = await self._give(session, turn.messages)
        if isinstance(now, _Given):
            result = drive(
                now.text,
                self._hooks,
                Rules(speaker="provider", on_signal=self._scenario.on_signal, at_turn=turn.turn),
            )
            now = result.error or _Given(now.calls, result.text)
        if isinstance(now, ConversationError):
            self._differs(session, "error", then, str(now))
            return
        by_hand = item.get("edited") or (item.get("human") and item.get("draft") != "sent")
        if not by_hand:
            # What a human has made of an answer says nothing of the provider.
            self._judge(session, then, now)

    async def _compare_pending(self, session: SessionState, pending: Pending) -> None:
        """Compares the pending reply, without hooks: they run when the turn goes on."""
        reply = pending.reply
        last = [_call(call.name, call.arguments) for call in reply.tool_calls]
        then = _Given([*_called(pending.messages), *last], reply.text)
        now = await self._give(session, pending.messages)
        if isinstance(now, ConversationError):
            self._differs(session, "error", then, str(now))
            return
        self._judge(session, then, now)

    def _judge(self, session: SessionState, then: _Given, now: _Given) -> None:
        if then.calls != now.calls:
            self._differs(session, "tools", then, now.whole)
        elif then.text != now.text:
            self._differs(session, "text", then, now.whole)

    def _differs(self, session: SessionState, what: str, then: _Given, now: str) -> None:
        number = session.numbers
        now = self._redact(now)
        self._drift.append(
            {
                "session": session.index,
                "turn": number,
                "what": what,
                "recorded": then.whole,
                "replayed": now,
            }
        )
        difference = {"tools": "it calls other tools", "error": "it fails"}.get(what, "it answers")
        self._journal.emit(
            Warned(
                session=session.index,
                turn=number,
                side="provider",
                code="drift",
                message=f"drift at {session.index}:{number}: {difference} now:"
                f" {one_line(now, _SHOWN)!r}, on record: {one_line(then.whole, _SHOWN)!r}",
            )
        )

    async def _give(
        self, session: SessionState, messages: Sequence[Message]
    ) -> _Given | ConversationError:
        """Asks for a turn again, with the recorded tool messages between its calls."""
        self._asked += 1
        calls: list[str] = []
        extra: list[Message] = []
        text = ""
        for number, results in enumerate((*_rounds(messages), ()), 1):
            reply = await self._ask(session, extra, number)
            if isinstance(reply, ConversationError):
                return reply
            calls += [_call(call.name, call.arguments) for call in reply.tool_calls]
            extra += results
            text = reply.text
        return _Given(calls, text)

    async def _ask(
        self, session: SessionState, extra: Sequence[Message], number: int
    ) -> Reply | ConversationError:
        """Makes one call; returns its error when the replay is to go on without the reply."""
        provider = self._provider
        messages = chat(provider, self._scenario, session, extra)
        tools = self._toolbox.schemas
        request = Request(
            messages=[dict(message) for message in messages],
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            history=tuple(session.turns),
            tools=tools,
        )
        call = CallRequest(
            "provider",
            lambda: provider.respond(request),
            messages,
            dict(provider.params),
            model_of(provider),
            number,
            own_code=not isinstance(provider, LitellmProvider),
            tools=[str(tool["function"]["name"]) for tool in tools] or None,
        )
        while True:
            try:
                result = await self._caller.ask(call)
            except ConversationError as error:
                release = await self._gate.wait(
                    "error",
                    Point(session.index, None, "restore", "provider"),
                    [],
                    (RETRY, CONTINUE, FAIL),
                    detail=f"replaying {session.index}:{session.numbers}: {error}",
                    error=describe_error(error, redact=self._redact),
                )
                if release.choice == FAIL.id:
                    raise
                if release.choice == CONTINUE.id:
                    return error
            else:
                return result.reply


def _rounds(messages: Sequence[Message]) -> list[list[Message]]:
    """Splits tool messages into rounds: the calls and their results."""
    rounds: list[list[Message]] = []
    for message in messages:
        if message.get("role") == "assistant" or not rounds:
            rounds.append([])
        rounds[-1].append(message)
    return rounds


def _called(messages: Sequence[Message]) -> list[str]:
    return [
        _call(str(call["function"]["name"]), str(call["function"].get("arguments") or ""))
        for message in messages
        for call in message.get("tool_calls") or ()
    ]


def _call(name: str, arguments: str) -> str:
    """A call in the form that is compared, with its arguments sorted."""
    with contextlib.suppress(ValueError, RecursionError):
        arguments = json.dumps(json.loads(arguments or "{}"), sort_keys=True, ensure_ascii=False)
    return f"{name}({'' if arguments == '{}' else arguments})"
