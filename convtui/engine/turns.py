"""One turn: somebody is asked, the reply goes through the pipeline, the gate is passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from convtui.engine.calls import Answer, CallCancelledError, Caller, Question
from convtui.engine.gate import (
    AGAIN,
    EDIT,
    END,
    FAIL,
    GO,
    HAND_BACK,
    KEEP,
    OVERRIDE,
    RETRY,
    SAY,
    SIMULATE,
    SKIP,
    SUPPLY,
    Choice,
    Gate,
    Point,
    Release,
)
from convtui.engine.journal import Journal
from convtui.engine.pipeline import Draft, Outcome, Rules, after_discard, pipeline
from convtui.engine.sides import SideHooks
from convtui.engine.state import ConversationState, SessionState
from convtui.engine.tools import Toolbox
from convtui.errors import ConversationError, ProviderError
from convtui.events import (
    BudgetCrossed,
    DebugEdited,
    DebugHandedBack,
    DebugOverrode,
    HoldReason,
    LlmResponse,
    ResponseProcessed,
    SignalsExtracted,
    Speaker,
    Termination,
    ToolCalled,
    ToolReturned,
    TurnCommitted,
    TurnDiscarded,
    TurnSkipped,
    TurnStarted,
    UserDecided,
    UserEnded,
    Warned,
)
from convtui.models.base import Message, Reply
from convtui.protocol import describe_error
from convtui.providers.base import HistoryTurn, Provider, Request
from convtui.simulators.base import (
    Abstain,
    Decision,
    EndConversation,
    Say,
    Stop,
    UserAction,
    UserSimulator,
    View,
    user_visible,
)
from convtui.text import near_empty, word_count
from convtui.transcript import Flag

_EMPTY_RETRIES = 3


class InterruptedRunError(Exception):
    """The conversation cannot go on: nobody watches where somebody would have to decide."""

    def __init__(self, reason: str, signal: str | None = None) -> None:
        self.signal = signal
        super().__init__(reason)


@dataclass(slots=True, frozen=True)
class Pending:
    """A raw reply that was received but not committed; it re-enters at `signals`."""

    speaker: Speaker
    number: int
    attempt: int
    reply: Reply
    source: dict[str, Any]
    """Where it stands: `{log, seq}`."""
    messages: tuple[Message, ...] = ()
    """The tool messages that led to it."""
    hold: bool = False


@dataclass(slots=True)
class Words:
    """What somebody said, before the pipeline."""

    raw: str
    human: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    then: EndConversation | None = None
    truncated: bool = False


@dataclass(slots=True, frozen=True)
class TurnResult:
    """How a turn came out: who goes on, or why the session ends."""

    result: Literal["commit", "retry", "skip", "end"]
    termination: Termination | None = None


class _AskAgainError(Exception):
    pass


class _SkipTurnError(Exception):
    pass


class Turns:
    """Takes turns for both sides."""

    def __init__(
        self,
        *,
        journal: Journal,
        gate: Gate,
        caller: Caller,
        state: ConversationState,
        provider: Provider,
        simulator: UserSimulator,
        toolbox: Toolbox,
        redact: Callable[[str], str] = str,
    ) -> None:
        self._journal = journal
        self._gate = gate
        self._caller = caller
        self._state = state
        self._scenario = state.scenario
        self._provider = provider
        self._simulator = simulator
        self._toolbox = toolbox
        self._redact = redact
        self._hooks = {"provider": SideHooks(provider), "persona": SideHooks(simulator)}
        self.taken_over: set[str] = set()
        if simulator.kind == "human":
            self.taken_over.add("persona")
        self._simulate_once = False
        self._edited = False
        self._budget_fired = False
        self._out_of_budget: Termination | None = None
        self._empties = 0

    # --- a turn

    async def take(self, speaker: Speaker, pending: Pending | None = None) -> TurnResult:
        """Takes the next turn.

        Raises `ConversationError` when it failed and nobody dealt with it, and
        `InterruptedRunError` when it would have to wait for somebody who is not there.
        """
        session = self._state.current
        assert session is not None
        session.numbers = pending.number if pending else session.numbers + 1
        number = session.numbers
        attempt = pending.attempt if pending else session.retries + 1
        self._empties = 0
        while True:
            self._place(session, number, speaker, attempt)
            self._edited = False
            human = speaker in self.taken_over and pending is None
            self._journal.emit_here(TurnStarted, speaker=speaker, human=human or None)
            try:
                said = await self._words(session, speaker, pending)
                if isinstance(said, Words):
                    return await self._through(session, speaker, said)
                return await self._user_is_done(session, said)
            except _AskAgainError:
                attempt += 1
                pending = None
            except _SkipTurnError:
                self._journal.emit_here(TurnSkipped, reason="skipped by hand")
                return TurnResult("skip")

    def _place(self, session: SessionState, number: int, speaker: Speaker, attempt: int) -> None:
        place = self._journal.place
        place.session, place.turn = session.index, number
        place.side, place.attempt = speaker, attempt

    def _point(self, stage: str) -> Point:
        place = self._journal.place
        return Point(place.session, place.turn, stage, place.side, place.attempt)

    # --- where the words come from

    async def _words(
        self, session: SessionState, speaker: Speaker, pending: Pending | None
    ) -> Words | UserAction:
        if pending is not None:
            return await self._reuse(session, pending)
        release = await self._gate.pass_through(
            self._point("request"),
            drafts=lambda: self._request_drafts(session, speaker),
            choices=(GO, SKIP),
        )
        if release.choice == SKIP.id:
            raise _SkipTurnError
        if speaker in self.taken_over and not self._simulate_once:
            human = await self._human(speaker)
            if human is not None:
                return human
        self._simulate_once = False
        while True:
            try:
                if speaker == "provider":
                    return await self._provider_words(session)
                return await self._persona_words(session)
            except CallCancelledError as error:
                release = await self._cancelled(error)
            except ConversationError as error:
                release = await self._failed(error)
            if release.choice == SUPPLY.id:
                text = str(release.edits.get("raw", ""))
                self._note_edit("raw", "", text)
                return Words(text)
            self._answer_common(release)

    def _answer_common(self, release: Release) -> None:
        if release.choice == AGAIN.id:
            raise _AskAgainError
        if release.choice == SKIP.id:
            raise _SkipTurnError

    async def _human(self, speaker: Speaker) -> Words | None:
        if not self._gate.watched:
            raise InterruptedRunError("a human has to speak here, and nobody is there")
        release = await self._gate.wait(
            "human",
            self._point("request"),
            [{"field": "text", "label": f"what the {speaker} says", "text": ""}],
            (SAY, SIMULATE, HAND_BACK),
            detail=f"you speak for the {speaker}",
        )
        if release.choice == SAY.id:
            return Words(str(release.edits.get("text", "")), human=True)
        if release.choice == HAND_BACK.id:
            self.hand_back(speaker)
        return None

    def hand_back(self, speaker: Speaker) -> None:
        """The side speaks for itself again; does nothing when it already does."""
        if speaker in self.taken_over:
            self.taken_over.discard(speaker)
            self._journal.emit(
                DebugHandedBack(side="provider" if speaker == "provider" else "persona")
            )

    async def _reuse(self, session: SessionState, pending: Pending) -> Words | UserAction:
        reply = pending.reply
        self._journal.emit_here(
            LlmResponse,
            raw=reply.text,
            reasoning=reply.reasoning or None,
            finish_reason=reply.finish_reason,
            response_id=reply.response_id,
            model=reply.model,
            metadata=reply.metadata or None,
            reused=pending.source,
        )
        await self._after_response(
            reply.text,
            because="pause" if pending.hold and self._gate.watched else None,
            detail="this reply had been received before; it was not asked for again",
        )
        if pending.speaker == "persona":
            reply.text = self._raw
            action = self._simulator.interpret(reply, self._view(session))
            if not isinstance(action, Say):
                return action
            return Words(self._raw, metadata=dict(reply.metadata), then=action.then)
        return Words(self._raw, metadata=dict(reply.metadata), messages=list(pending.messages))

    async def _persona_words(self, session: SessionState) -> Words | UserAction:
        view = self._view(session)
        asked = self._simulator.ask(view)
        if asked.say is not None:
            action: UserAction = asked.say
            raw = action.text if isinstance(action, Say) else ""
            metadata: dict[str, Any] = {}
        else:
            assert asked.open is not None
            answer = await self._caller.ask(
                Question("persona", asked.open, asked.messages, asked.params, asked.model)
            )
            await self._after_answer(answer)
            reply = answer.reply
            reply.text = raw = self._raw
            metadata = reply.metadata
            action = self._simulator.interpret(reply, view)
        self._record_decision(getattr(action, "decision", None))
        if isinstance(action, Say):
            return Words(raw or action.text, metadata=metadata, then=action.then)
        return action

    def _view(self, session: SessionState) -> View:
        return user_visible(
            self._state.remembered(session),
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            task=self._scenario.persona.task,
            start_prompt=self._scenario.provider.start_prompt,
        )

    async def _provider_words(self, session: SessionState) -> Words:
        config = self._scenario.provider
        if (
            not session.turns
            and config.first_message is not None
            and session.first_speaker == ("provider")
        ):
            return Words(config.first_message)
        extra: list[Message] = []
        rounds = self._scenario.limits.max_tool_rounds
        number = 0
        while True:
            number += 1
            answer = await self._caller.ask(self._question(session, extra, number))
            await self._after_answer(answer)
            reply = answer.reply
            if not reply.tool_calls:
                if reply.finish_reason == "tool_calls":
                    self._warn("no_tool_calls", "the model said tool_calls and made none")
                return Words(self._raw, metadata=reply.metadata, messages=extra)
            if not len(self._toolbox) or number >= rounds:
                if len(self._toolbox):
                    self._warn("tool_rounds", f"all {rounds} tool rounds are used up")
                return Words(
                    self._raw,
                    metadata=reply.metadata,
                    messages=extra,
                    truncated=bool(len(self._toolbox)),
                )
            extra += await self._run_tools(reply, answer.call, number)

    def _question(self, session: SessionState, extra: Sequence[Message], number: int) -> Question:
        messages = self._provider_messages(session, extra)
        request = Request(
            messages=[dict(message) for message in messages],
            session=session.index,
            session_type=session.session_type,
            turn=session.numbers,
            history=tuple(session.turns),
            tools=self._toolbox.schemas,
        )
        params = {
            key: value
            for key, value in dict(self._provider.params).items()
            if "key" not in key.lower()
        }
        return Question(
            "provider",
            lambda: self._provider.respond(request),
            messages,
            params,
            getattr(self._provider, "model", None),
            number,
        )

    def _provider_messages(
        self, session: SessionState, extra: Sequence[Message] = ()
    ) -> list[Message]:
        messages: list[Message] = []
        if self._provider.system_prompt:
            messages.append({"role": "system", "content": self._provider.system_prompt})
        messages += session.messages
        if not session.turns:
            prompt = self._scenario.provider.start_prompt
            messages.append({"role": "user", "content": prompt})
        return [*messages, *extra]

    def _request_drafts(self, session: SessionState, speaker: Speaker) -> list[dict[str, Any]]:
        if speaker == "provider":
            text = "\n".join(
                f"{m['role']}: {m.get('content') or ''}" for m in self._provider_messages(session)
            )
            return [{"field": "messages", "label": "about to be sent", "text": text}]
        return []

    async def _run_tools(self, reply: Reply, seq: int, number: int) -> list[Message]:
        calls = reply.tool_calls
        for tool_call in calls:
            self._journal.emit_here(
                ToolCalled,
                round=number,
                call=seq,
                id=tool_call.id,
                name=tool_call.name,
                arguments=self._toolbox.arguments(tool_call),
                raw_arguments=tool_call.arguments,
            )
        await self._gate.pass_through(
            self._point("tools"),
            drafts=lambda: [
                {"field": c.id, "label": f"call of {c.name}", "text": c.arguments} for c in calls
            ],
        )
        results = await self._toolbox.run(calls)
        for result in results:
            self._journal.emit_here(
                ToolReturned,
                round=number,
                call=seq,
                id=result.call.id,
                name=result.call.name,
                ok=result.ok,
                result=result.body,
                error_kind=result.error_kind,
                duration=result.duration,
            )
        return [
            {
                "role": "assistant",
                "content": reply.text or None,
                "tool_calls": [tool_call.as_message() for tool_call in calls],
            },
            *(result.as_message() for result in results),
        ]

    # --- after a reply has come

    async def _after_answer(self, answer: Answer) -> None:
        because, detail = self._check_budget()
        choices = (GO, END) if because else (GO, EDIT, AGAIN, SKIP)
        await self._after_response(
            answer.reply.text, because=because, detail=detail, choices=choices
        )

    async def _after_response(
        self,
        raw: str,
        *,
        because: HoldReason | None = None,
        detail: str = "",
        choices: tuple[Choice, ...] = (GO, EDIT, AGAIN, SKIP),
    ) -> None:
        """Stage `response`: the raw reply is there; leaves it, perhaps edited, in `_raw`."""
        self._raw = raw
        while True:
            release = await self._gate.pass_through(
                self._point("response"),
                drafts=lambda: [{"field": "raw", "label": "raw reply", "text": self._raw}],
                choices=choices,
                because=because,
                detail=detail,
            )
            self._answer_common(release)
            if because == "budget" and (release.choice == END.id or not self._gate.watched):
                self._out_of_budget = Termination(
                    kind="budget", by="harness", reason=detail, at_turn=self._number
                )
                return
            if release.choice != EDIT.id:
                return
            edited = str(release.edits.get("raw", self._raw))
            self._note_edit("raw", self._raw, edited)
            self._raw = edited
            because, detail = because or "step", "edited"

    def _check_budget(self) -> tuple[HoldReason | None, str]:
        budget = self._scenario.budget
        if self._budget_fired or (budget.tokens is None and budget.cost is None):
            return None, ""
        totals = self._journal.transcript.totals.values()
        tokens = sum(total.tokens or 0 for total in totals)
        cost = sum(total.cost or 0.0 for total in totals)
        if budget.tokens is not None and tokens > budget.tokens:
            self._journal.emit_here(BudgetCrossed, what="tokens", limit=budget.tokens, used=tokens)
            detail = f"{tokens:,} tokens, the budget is {budget.tokens:,}"
        elif budget.cost is not None and cost > budget.cost:
            self._journal.emit_here(BudgetCrossed, what="cost", limit=budget.cost, used=cost)
            detail = f"${cost:.4f}, the budget is ${budget.cost:.4f}"
        else:
            return None, ""
        self._budget_fired = True
        if budget.on_exceeded == "warn":
            return None, ""
        if budget.on_exceeded == "stop":
            self._out_of_budget = Termination(
                kind="budget", by="harness", reason=detail, at_turn=self._number
            )
            return None, ""
        if not self._gate.watched and self._gate.on_pause == "continue":
            return None, ""
        return "budget", detail

    @property
    def _number(self) -> int:
        return self._journal.place.turn or 0

    # --- the pipeline

    async def _through(self, session: SessionState, speaker: Speaker, words: Words) -> TurnResult:
        rules = self._rules(session, speaker)
        stages = pipeline(words.raw, self._hooks[speaker], rules)
        holds_again: str | None = None
        draft = next(stages)
        while True:
            self._record_stage(draft)
            holds_again = await self._gate_stage(draft, session, words, holds_again)
            if draft.stage == "commit" and holds_again is None:
                self._commit(session, speaker, draft, words)
            elif draft.stage == "discard" and draft.discard and holds_again is None:
                self._discard(session, speaker, draft, words, after_discard(rules))
            try:
                draft = stages.send(draft)
            except StopIteration as stop:
                outcome: Outcome = stop.value
                break
        return await self._came_out(session, speaker, outcome, words)

    def _rules(self, session: SessionState, speaker: Speaker) -> Rules:
        scenario = self._scenario
        number = self._number
        on_discard = scenario.on_discard
        return Rules(
            speaker=speaker,
            on_signal=scenario.on_signal,
            on_discard=on_discard.action,
            retries_left=max(0, on_discard.retries - session.retries),
            skips_left=max(0, 1 - session.skips),
            global_signal=scenario.termination_signal,
            at_turn=number,
            caps=lambda: self._out_of_budget or self._state.caps(session, number),
        )

    def _record_stage(self, draft: Draft) -> None:
        revision = draft.revision if draft.revision > 1 else None
        if draft.error is not None:
            return
        if draft.stage == "signals":
            self._journal.emit_here(
                SignalsExtracted,
                revision=revision,
                matches=[match.as_dict() for match in draft.matches],
                duration=round(draft.duration, 6),
                hook=draft.hook,
            )
        elif draft.stage == "post_process":
            self._journal.emit_here(
                ResponseProcessed,
                revision=revision,
                text=draft.text or "",
                changed=draft.text != draft.raw,
                duration=round(draft.duration, 6),
                hook=draft.hook,
                metadata=draft.metadata,
            )

    async def _gate_stage(
        self, draft: Draft, session: SessionState, words: Words, holds_again: str | None
    ) -> str | None:
        """Holds at a stage where that is due; returns the stage that is to be held again.

        That is this very stage when the raw reply was edited: the stages before it run again and
        are not held.
        """
        if draft.error is not None:
            return await self._hook_failed(draft)
        if draft.rerun:
            return holds_again
        self._foresee(draft)
        because: HoldReason | None = "step" if holds_again == draft.stage else None
        detail = "edited" if because else ""
        choices: tuple[Choice, ...] = (GO, EDIT, AGAIN, SKIP)
        if draft.stage == "discard":
            choices = (GO, OVERRIDE, EDIT, AGAIN, SKIP)
        elif draft.stage == "commit" and draft.empty and because is None:
            return await self._empty(draft, words)
        elif draft.stage == "terminate":
            return await self._ending(draft)
        while True:
            release = await self._gate.pass_through(
                self._point(draft.stage),
                drafts=lambda: _drafts(draft),
                choices=choices,
                because=because,
                detail=detail,
            )
            self._answer_common(release)
            if release.choice == OVERRIDE.id:
                self._override_discard(draft)
                return None
            if release.choice != EDIT.id:
                return None
            if self._apply_edits(draft, release):
                return draft.stage
            because, detail = "step", "edited"

    def _foresee(self, draft: Draft) -> None:
        """Tells the engine's own fold what is about to be recorded, for breakpoints on it."""
        turn = self._journal.transcript.current
        if turn is not None and draft.stage == "discard":
            turn.flags = (turn.flags & ~Flag.DISCARDED) | (Flag.DISCARDED * bool(draft.discard))
        elif turn is not None and draft.stage == "commit":
            turn.flags = (turn.flags & ~Flag.DISCARDED) | (Flag.EMPTY * draft.empty)

    def _apply_edits(self, draft: Draft, release: Release) -> bool:
        """Takes edits into a draft; whether stages have to run again for them."""
        text = release.edits.get("text")
        if isinstance(text, str) and draft.stage != "signals" and text != draft.text:
            self._note_edit("text", draft.text or "", text)
            draft.text = text
        raw = release.edits.get("raw")
        if isinstance(raw, str) and raw != draft.raw:
            self._note_edit("raw", draft.raw, raw)
            draft.raw = raw
            return True
        return False

    def _override_discard(self, draft: Draft) -> None:
        before = bool(draft.discard)
        draft.discard = not before
        self._journal.emit_here(DebugOverrode, what="discard", before=before, after=not before)

    async def _empty(self, draft: Draft, words: Words) -> str | None:
        """An empty or near-empty reply, about to be committed."""
        if words.human:
            return None
        policy = self._scenario.on_empty
        if policy == "keep":
            return None
        if policy == "fail":
            raise ProviderError("the reply is empty (on_empty: fail)")
        if policy == "retry" and self._empties < _EMPTY_RETRIES:
            self._empties += 1
            raise _AskAgainError
        if not self._gate.watched:
            if self._gate.on_pause == "continue":
                return None
            raise InterruptedRunError("the reply is empty (on_empty: pause)")
        release = await self._gate.wait(
            "empty",
            self._point("commit"),
            _drafts(draft),
            (AGAIN, KEEP, SUPPLY, SKIP, FAIL),
            detail="the reply says nothing",
        )
        self._answer_common(release)
        if release.choice == FAIL.id:
            raise ProviderError("the reply is empty")
        if release.choice == SUPPLY.id:
            text = str(release.edits.get("text", release.edits.get("raw", "")))
            self._note_edit("text", draft.text or "", text)
            draft.text = text
        else:
            self._journal.emit_here(DebugOverrode, what="empty", before="pause", after="keep")
        return None

    async def _ending(self, draft: Draft) -> str | None:
        """Stage `terminate`: in the debugger every ending can be overridden in place."""
        termination = draft.termination
        assert termination is not None
        pauses = (
            termination.signal is not None
            and self._scenario.signal_action(termination.signal) == "pause"
        )
        if not self._gate.watched:
            if pauses and self._gate.on_pause != "continue":
                raise InterruptedRunError(
                    f"signal {termination.signal} pauses (on_signal)", termination.signal
                )
            if pauses:
                draft.termination = None
            return None
        release = await self._gate.wait(
            "ending",
            self._point("terminate"),
            [{"field": "termination", "label": "ending", "text": termination.reason}],
            (END, OVERRIDE),
            detail=f"{termination.kind} by {termination.by}: {termination.reason}",
        )
        if release.choice == OVERRIDE.id:
            self._journal.emit_here(
                DebugOverrode, what="ending", before=termination.as_dict(), after=None
            )
            draft.termination = None
        return None

    async def _hook_failed(self, draft: Draft) -> str | None:
        error = draft.error
        assert error is not None
        release = await self._failed(error, stage=draft.stage, drafts=_drafts(draft))
        self._answer_common(release)
        if release.choice == RETRY.id:
            draft.again = True
        elif release.choice == SUPPLY.id:
            draft.error = None
            if draft.stage == "post_process":
                text = str(release.edits.get("text", draft.raw))
                self._note_edit("text", draft.raw, text)
                draft.text = text
            elif draft.stage == "discard":
                draft.discard = False
            self._record_stage(draft)
        return None

    async def _failed(
        self,
        error: ConversationError,
        *,
        stage: str = "response",
        drafts: list[dict[str, Any]] | None = None,
    ) -> Release:
        """Something failed: holds, or lets it fail when nobody watches."""
        if not self._gate.watched:
            raise error
        again = RETRY if stage not in ("request", "response") else AGAIN
        choices = (again, SUPPLY, SKIP, FAIL) if again is AGAIN else (again, SUPPLY, AGAIN, FAIL)
        release = await self._gate.wait(
            "error",
            self._point(stage),
            drafts or [{"field": "raw", "label": "raw reply", "text": ""}],
            choices,
            detail=str(error),
            error=describe_error(error, redact=self._redact),
        )
        if release.choice == FAIL.id:
            raise error
        return release

    async def _cancelled(self, error: CallCancelledError) -> Release:
        if not self._gate.watched:
            raise error
        release = await self._gate.wait(
            "pause",
            self._point("response"),
            [{"field": "raw", "label": "what had arrived", "text": error.partial}],
            (AGAIN, SUPPLY, SKIP, FAIL),
            detail="the call was cancelled",
        )
        if release.choice == FAIL.id:
            raise error
        return release

    def _note_edit(self, what: str, before: str, after: str) -> None:
        self._edited = True
        self._journal.emit_here(DebugEdited, field=what, before=before, after=after)

    # --- how it came out

    def _commit(self, session: SessionState, speaker: Speaker, draft: Draft, words: Words) -> None:
        text = draft.text or ""
        metadata = {**words.metadata, **(draft.metadata or {})}
        hooks = self._hooks[speaker]
        metadata.update(hooks.metadata())
        self._state.commit(
            session,
            HistoryTurn(
                session.index, self._number, speaker, text, tuple(words.messages), metadata
            ),
        )
        self._journal.emit_here(
            TurnCommitted,
            revision=draft.revision if draft.revision > 1 else None,
            speaker=speaker,
            text=text,
            words=word_count(text),
            metadata=metadata or None,
            human=words.human or None,
            edited=self._edited or None,
            empty=near_empty(text) or None,
            truncated=words.truncated or None,
            would_have=draft.would_have,
        )

    def _discard(
        self,
        session: SessionState,
        speaker: Speaker,
        draft: Draft,
        words: Words,
        outcome: Literal["end", "retry", "skip"],
    ) -> None:
        self._journal.emit_here(
            TurnDiscarded,
            revision=draft.revision if draft.revision > 1 else None,
            speaker=speaker,
            text=draft.text or "",
            raw=draft.raw,
            signals=[match.as_dict() for match in draft.matches],
            hook="should_discard_response",
            outcome=outcome,
            human=words.human or None,
        )
        if outcome == "retry":
            session.retries += 1

    async def _came_out(
        self, session: SessionState, speaker: Speaker, outcome: Outcome, words: Words
    ) -> TurnResult:
        if outcome.result == "skip":
            session.skips += 1
            session.retries = 0
        if outcome.result == "commit" and words.then is not None and outcome.termination is None:
            return await self._user_is_done(session, words.then)
        return TurnResult(outcome.result, outcome.termination)

    async def _user_is_done(self, session: SessionState, action: UserAction) -> TurnResult:
        """The simulated user ends, stops or abstains instead of speaking."""
        at_turn = session.turns[-1].turn if session.turns else 0
        if isinstance(action, EndConversation):
            self._journal.emit_here(
                UserEnded,
                simulator=self._simulator.kind,
                reason=action.reason,
                dropped_text=action.dropped_text or None,
                sentinel=action.sentinel or None,
            )
            termination = Termination(
                kind="completed",
                by="simulator",
                reason=action.reason,
                at_turn=at_turn,
                signal=action.sentinel or None,
            )
        elif isinstance(action, Stop):
            termination = Termination(
                kind="stopped", by="responder", reason=action.reason, at_turn=at_turn
            )
        else:
            assert isinstance(action, Abstain)
            termination = Termination(
                kind="abstained", by="responder", reason=action.reason, at_turn=at_turn
            )
        draft = Draft("terminate", "", termination=termination)
        await self._ending(draft)
        return TurnResult("skip" if draft.termination is None else "end", draft.termination)

    def _record_decision(self, decision: Decision | None) -> None:
        if decision is not None:
            self._journal.emit_here(
                UserDecided,
                kind=decision.kind,
                tool=decision.tool,
                arguments=decision.arguments,
                valid=decision.valid,
                reason=decision.reason,
            )

    def _warn(self, code: str, message: str) -> None:
        self._journal.emit_here(Warned, code=code, message=message)

    _raw: str = ""


def _drafts(draft: Draft) -> list[dict[str, Any]]:
    drafts = [{"field": "raw", "label": "raw reply", "text": draft.raw}]
    if draft.text is not None and draft.stage != "signals":
        drafts.insert(0, {"field": "text", "label": "what is said", "text": draft.text})
    return drafts
