"""The runner: one conversation from `setup` to `cleanup`, its sessions in order."""

from __future__ import annotations

import asyncio
import platform
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from convtui import __version__
from convtui.config.paths import writable_dir
from convtui.engine.calls.calls import Caller
from convtui.engine.calls.retrying import RetryRules
from convtui.engine.conversation.breakpoints import Breakpoints
from convtui.engine.conversation.compress import Compressor
from convtui.engine.conversation.lifecycle import Lifecycle
from convtui.engine.conversation.prepare import (
    check_can_go_on,
    check_signals,
    load_for,
    restore_simulator,
    simulator_for,
    toolbox_for,
    warm_for,
    warm_warnings,
)
from convtui.engine.core.gate import Gate, GateState, InterruptedRunError
from convtui.engine.core.journal import Journal
from convtui.engine.core.pending import Pending
from convtui.engine.core.state import ConversationState, SessionState
from convtui.engine.resume.state import ResumeState, bad_ending
from convtui.engine.turn.budget import unknown_usage
from convtui.engine.turn.context import TurnResult
from convtui.engine.turn.pipeline import Rules, acting_matches, discarded, ending
from convtui.engine.turn.turn import Turns, user_is_done
from convtui.errors import ConversationError, ConvtuiError, FileError, HookError, ProviderError
from convtui.log.writer import LogWriter
from convtui.models.base import ModelClients
from convtui.protocol import ContinueFrom, StartSpec, describe_error
from convtui.records.models import (
    ContextSeeded,
    ConversationEnded,
    DebugTookOver,
    Header,
    RecordDict,
    SessionEnded,
    SessionStarted,
    Speaker,
    Termination,
    Warned,
)
from convtui.scenario.scenario import Scenario
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import safe_name
from convtui.text.causes import describe
from convtui.text.tracebacks import own_frames
from convtui.trust.rules import make_seal


@dataclass(slots=True)
class Wiring:
    """What the outside hands to a conversation."""

    models: ModelClients
    publish_gate: Callable[[GateState, RecordDict | None], None] = lambda state, hold: None
    publish_delta: Callable[[dict[str, Any]], None] | None = None
    redactor: Redactor = field(default_factory=Redactor.of_process)
    why_it_broke: Callable[[BaseException], str] = lambda error: (
        f"internal error: {describe(error)}"
    )
    """What an exception that is none of a conversation's comes from, in words."""


def _origin(parent: ContinueFrom | None) -> Literal["run", "continue", "compress"]:
    if parent is None:
        return "run"
    return "compress" if parent.kind == "compress" else "continue"


class Conversation:
    """One conversation: loads both sides, opens the log, runs the sessions, closes the log.

    The constructor loads and opens; it raises `UsageError`s (an unusable SPEC, an unwritable
    folder) before there is a log. `run()` never raises what a conversation can die of: every
    ending is in the log and in `termination`.
    """

    def __init__(
        self, scenario: Scenario, spec: StartSpec, wiring: Wiring, seed: ResumeState | None = None
    ) -> None:
        self.scenario = scenario
        self.spec = spec
        self.seed = seed
        self.redactor = wiring.redactor
        scenario.tell(self.redactor)
        self.termination: Termination | None = None
        self._wiring = wiring
        self.loaded = load_for(scenario, spec, wiring.models)
        # The provider's module may have loaded a file of variables.
        self.redactor.look_everywhere()
        provider = self.provider = self.loaded.provider
        self.simulator = simulator_for(scenario, spec, wiring.models)
        check_signals(provider, self.simulator)
        self.toolbox = toolbox_for(scenario, provider, seed, self.redactor)
        self.state = ConversationState(scenario, warm_for(scenario, seed))
        if seed is not None:
            seed.fill(self.state)
            restore_simulator(self.simulator, seed)
            check_can_go_on(self.state, seed, spec.continue_from)
        self.breakpoints = Breakpoints(
            scenario.breakpoints if spec.breakpoints is None else spec.breakpoints
        )
        self.id = uuid.uuid4().hex
        self.journal = Journal(self._open_log())
        self.journal.listen(lambda record, offset, line: self.breakpoints.records.take(record))
        self.gate = Gate(
            self.journal,
            watched=spec.watched,
            on_pause=spec.on_pause,
            publish=wiring.publish_gate,
            breaks=lambda point: self.breakpoints.fires(point, self.journal.transcript),
            # What goes on where another engine was held is held there, too.
            paused=spec.paused or (spec.continue_from is not None and spec.continue_from.held),
            not_before=spec.continue_from.stage if spec.continue_from is not None else None,
        )
        retry = scenario.retry
        self.caller = Caller(
            self.journal,
            retry=RetryRules(retry.attempts, retry.base_delay, retry.max_delay, retry.max_wait),
            timeout=scenario.limits.turn_timeout,
            publish_delta=wiring.publish_delta,
            redactor=self.redactor,
        )
        self.turns = Turns(
            journal=self.journal,
            gate=self.gate,
            caller=self.caller,
            state=self.state,
            provider=provider,
            simulator=self.simulator,
            toolbox=self.toolbox,
            redact=self.redactor.text,
        )
        self._lifecycle = Lifecycle(
            scenario=scenario,
            journal=self.journal,
            gate=self.gate,
            state=self.state,
            loaded=self.loaded,
            simulator=self.simulator,
            toolbox=self.toolbox,
            seed=seed,
            caller=self.caller,
            redact=self.redactor.text,
        )
        self._task: asyncio.Task[None] | None = None
        self._stop_reason: tuple[Literal["human", "harness"], str] | None = None
        self._session_started = 0.0
        self._forcing = threading.Lock()
        self.warnings: list[tuple[str, str]] = []
        """Codes and words of what is to be known from the beginning."""
        self.on_begin: Callable[[], None] = lambda: None
        """Called when the log has its first records."""

    def _open_log(self) -> LogWriter:
        scenario = self.scenario
        workflow = scenario.provider.options.get("workflow")
        folder = writable_dir(Path(self.spec.out_dir))
        parts = [
            datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
            safe_name(self.simulator.name, default="persona"),
            safe_name(self.provider.name, default="provider"),
        ]
        if isinstance(workflow, str):
            parts.append(safe_name(workflow, default="workflow"))
        parts.append(self.id[:6])
        return LogWriter(folder / ("_".join(parts) + ".jsonl"), self.redactor)

    # --- the run

    async def run(self) -> Termination:
        """Runs to the end and closes the log; returns why it ended."""
        self._task = asyncio.current_task()
        journal = self.journal
        journal.writer.start_clock()
        self._write_header()
        if self.seed is not None:
            journal.emit(self.seed.record(self.state))
        if self.state.warm is not None:
            journal.emit(ContextSeeded(**self.state.warm.record()))
        if self.seed is not None:
            for damage in self.seed.damage:
                self._warn("damaged_parent", damage)
        for code, text in self.warnings:
            self._warn(code, text)
        if self.seed is not None:
            for side in self.seed.taken_over:
                self.turns.speakers.taken_over.add(side)
                journal.emit(DebugTookOver(side="provider" if side == "provider" else "persona"))
        if self._stop_reason is not None and self._task is not None:
            self._task.cancel()  # it was stopped before it began
        self.on_begin()
        try:
            self.termination = await self._guarded()
        finally:
            await self._lifecycle.clean_up()
            if self.termination is None:
                self.termination = self._interrupted()
            if not journal.writer.closed and journal.writer.broken is None:
                journal.emit(ConversationEnded(termination=self.termination.as_dict()))
                journal.close(self.termination.as_dict(), self._totals())
            else:
                journal.writer.abandon()
            self.gate.close()
        return self.termination

    async def _guarded(self) -> Termination:
        try:
            return await self._sessions()
        except asyncio.CancelledError:
            termination = self._interrupted()
            self._close_open_session(termination)
            return termination
        except InterruptedRunError as error:
            termination = Termination(
                kind="interrupted",
                by="harness",
                reason=str(error),
                at_turn=self._at_turn,
                signal=error.signal,
            )
            self._close_open_session(termination)
            return termination
        except ConversationError as error:
            termination = self._failure(error)
            self._close_open_session(termination)
            return termination
        except ConvtuiError:
            raise
        except Exception as error:
            # A fault of ours must leave a whole log behind, too.
            termination = Termination(
                kind="failed",
                by="harness",
                reason=self._wiring.why_it_broke(error),
                at_turn=self._at_turn,
                detail={"category": "internal"},
            )
            self._close_open_session(termination)
            self.termination = termination
            raise

    def stop(self, by: Literal["human", "harness"], reason: str) -> None:
        """Ends the conversation here, `interrupted`; the call in flight is cancelled."""
        if self._stop_reason is None:
            self._stop_reason = (by, reason)
            if self._task is not None:
                self._task.cancel()

    def force_close(
        self,
        reason: str,
        *,
        kind: Literal["interrupted", "failed"] = "interrupted",
        by: Literal["human", "harness", "provider"] = "human",
    ) -> None:
        """Closes the log when the loop does not: provider code blocks it for good, or broke it.

        May be called from another thread, and from several: the first one's reason stands.
        """
        writer = self.journal.writer
        with self._forcing:
            if not writer.count:
                # It has not begun: there is nothing to keep.
                writer.abandon()
                writer.path.unlink(missing_ok=True)
            if writer.closed:
                return
            termination = Termination(kind=kind, by=by, reason=reason, at_turn=self._at_turn)
            self._close_open_session(termination)
            self.journal.emit(ConversationEnded(termination=termination.as_dict()))
            self.journal.close(termination.as_dict(), self._totals())

    def _interrupted(self) -> Termination:
        by, reason = self._stop_reason or (
            "harness",
            "the conversation's own task was cancelled, and not by convtui: provider code did it",
        )
        return Termination(kind="interrupted", by=by, reason=reason, at_turn=self._at_turn)

    def _failure(self, error: ConversationError) -> Termination:
        place = self.journal.place
        by = {"user_simulator": "simulator", "responder": "responder", "tool": "harness"}.get(
            error.category, "provider"
        )
        if place.side == "persona" and error.category in ("llm", "provider", "hook"):
            by = "simulator"
        detail = describe_error(error, redact=self.redactor.text)
        category = error.category
        if by == "simulator":
            category = "user_simulator"
        return Termination(
            kind="failed",
            by=by,
            reason=self.redactor.text(str(error)).split("\n", 1)[0],
            at_turn=place.turn or 0,
            detail={**detail, "category": category},
        )

    @property
    def _at_turn(self) -> int:
        return self.journal.place.turn or 0

    def _write_header(self) -> None:
        """Writes the header, sealed as it will stand in the log."""
        header = self._header()
        try:
            seal = make_seal(self.journal.writer.clean(header.payload()))
            header = header.model_copy(update={"seal": seal})
        except FileError as error:
            text = f"going on with this log will ask what it may run: {error}"
            self.warnings.append(("no_seal", text))
        self.journal.emit(header)

    def _header(self) -> Header:
        seed = self.seed
        parent = self.spec.continue_from
        return Header(
            id=self.id,
            created_at=self.journal.writer.created_at.isoformat(),
            origin=_origin(parent),
            parents=[seed.parent] if seed else [],
            change={"kind": parent.kind, **self._goes_on_at()} if parent else None,
            persona=self.simulator.name,
            provider=self.redactor.data(self.loaded.identity()),
            scenario=self.scenario.public(self.redactor),
            environment={
                "convtui": __version__,
                "python": platform.python_version(),
                "platform": sys.platform,
            },
        )

    def _goes_on_at(self) -> dict[str, int]:
        """The first turn that can be said here: `{session, turn}`."""
        session = self.state.current
        over = {int(item["session"]) for item in self.seed.ended} if self.seed else set()
        if session is None or session.index in over:
            return {"session": max(over, default=0) + 1, "turn": 1}
        return {"session": session.index, "turn": session.numbers + 1}

    # --- the sessions

    async def _sessions(self) -> Termination:
        await self._lifecycle.set_up()
        if self.seed is None or not self.state.prepared:
            await self._lifecycle.prepare()
        for near, hook in self.loaded.near_names:
            self._warn("near_name", f"{near}() is no hook; did you mean {hook}()?")
        for doubt in self.loaded.doubts():
            self._warn("call_shape", doubt)
        if self.state.warm is not None and self.seed is None:
            for code, sentence in warm_warnings(self.state.warm, self.provider, self.toolbox):
                self._warn(code, sentence)
        await self._say_what_is_not_counted()
        prepared = self.state.prepared
        first = max(1, self.seed.current) if self.seed else 1
        over = {int(item["session"]) for item in self.seed.ended} if self.seed else set()
        last: Termination | None = None
        bad: Termination | None = None
        previous_held = False
        for index, session_type in enumerate(prepared, 1):
            if index < first or index in over:
                continue
            entered = self.seed is not None and index == self.seed.current
            continued = entered and self.seed is not None and self.seed.started
            was_reset = entered or (self.seed is not None and index in self.seed.was_reset)
            goes_on = self.seed is not None and bool(self.seed.current) and not previous_held
            if goes_on:
                await self._lifecycle.ask_to_restore(index)
            if previous_held or ((index - 1) in over and not was_reset):
                await self._lifecycle.reset(session_type, index)
            elif goes_on and self._lifecycle.replaying and index > 1:
                await self._lifecycle.reset(session_type, index, replayed=True)
            await self._lifecycle.enter(session_type, index)
            if goes_on:
                await self._lifecycle.restore(index)
                await self._compress()
            termination = await self._session(index, session_type, continued=continued)
            previous_held = True
            last = termination
            if bad_ending(termination.as_dict()) and bad is None:
                bad = termination
            used_up = termination.kind == "max_turns" and self.scenario.turns_scope != "session"
            if used_up or termination.kind in ("failed", "interrupted", "abstained", "budget"):
                self._skip_rest(index, f"session {index} ended: {termination.kind}")
                break
        if last is None:
            raise ProviderError("there is no session left to hold")
        return bad or last

    async def _compress(self) -> None:
        """What a continuation of kind `compress` is for; ends there when it is for nothing else."""
        parent = self.spec.continue_from
        session = self.state.current
        if parent is None or session is None:
            return
        if parent.kind == "compress":
            compressor = Compressor(
                journal=self.journal,
                gate=self.gate,
                caller=self.caller,
                state=self.state,
                provider=self.provider,
                redact=self.redactor.text,
            )
            await compressor.compress(session)
        if parent.stop:
            raise InterruptedRunError("stands where the conversation can be gone on with")

    async def _say_what_is_not_counted(self) -> None:
        persona = self.scenario.persona
        model = persona.asked_model
        user = (f"{persona.simulator} persona", model) if model is not None else None
        for sentence in await unknown_usage(
            self.scenario.budget,
            provider=self.loaded,
            user=user,
            priced=self._wiring.models.priced,
        ):
            self._warn("budget_unknown", sentence)

    # --- a session

    async def _session(self, index: int, session_type: str, *, continued: bool) -> Termination:
        try:
            declared = self.provider.first_speaker
        except Exception as error:
            raise HookError(
                f"first_speaker failed: {describe(error)}",
                hook="first_speaker",
                frames=own_frames(error),
            ) from error
        speaker: Speaker = declared or self.scenario.first_speaker
        if speaker not in ("persona", "provider"):
            raise HookError(
                f"first_speaker is {declared!r}; it must be 'persona', 'provider' or None",
                hook="first_speaker",
            )
        if continued and self.state.current is not None:
            session = self.state.current
        else:
            session = self.state.open_session(index, session_type, speaker)
        place = self.journal.place
        place.session, place.turn, place.side, place.attempt = index, None, None, None
        self._session_started = self.journal.writer.now()
        self.journal.emit(
            SessionStarted(
                session=index,
                session_type=session_type,
                first_speaker=session.first_speaker,
                max_turns=self.state.cap(session),
                continued=continued or None,
            )
        )
        termination = await self._turn_loop(session, continued=continued)
        self._end_session(session, termination)
        if self.scenario.persona_memory == "session":
            await self._lifecycle.close_user(index)
        return termination

    async def _turn_loop(self, session: SessionState, *, continued: bool) -> Termination:
        pending: Pending | None = None
        if continued and self.seed is not None:
            pending = self.seed.pending
            termination = await self._settle(session)
            if termination is not None:
                return termination
        speaker = pending.speaker if pending else self._next_speaker(session)
        if continued and pending is None and self.seed is not None:
            speaker = self.seed.speaks_next or speaker
        while True:
            result = await self.turns.take(speaker, pending)
            pending = None
            if result.termination is not None:
                return result.termination
            speaker = self._after(speaker, result)

    def _next_speaker(self, session: SessionState) -> Speaker:
        last = session.last_speaker
        if last is None:
            return session.first_speaker
        other: Speaker = "provider" if last == "persona" else "persona"
        # After a discard that is asked again the same side goes on.
        return other

    @staticmethod
    def _after(speaker: Speaker, result: TurnResult) -> Speaker:
        if result.result == "retry":
            return speaker
        return "provider" if speaker == "persona" else "persona"

    async def _settle(self, session: SessionState) -> Termination | None:
        """What ends a session is looked at for what was said or dropped before the log ended."""
        assert self.seed is not None
        left = self.seed.unsettled
        if left is None:
            return None
        last = session.turns[-1] if session.turns else None
        speaker: Speaker = "persona"
        number = 0
        found: Termination | None = None
        if left["kind"] == "user":
            found = user_is_done(left["reason"], left.get("sentinel"), last.turn if last else 0)
            number = int(left["turn"])
        else:
            if left["kind"] == "discard":
                speaker, number = left["speaker"], int(left["turn"])
            elif last is not None:
                speaker, number = last.speaker, last.turn
            rules = Rules(
                speaker=speaker,
                on_signal=self.scenario.on_signal,
                global_signal=self.scenario.termination_signal,
                at_turn=number,
                caps=lambda: self.state.caps(session, number),
            )
            acting = acting_matches(rules, self.seed.matches)
            if left["kind"] == "discard":
                found = discarded(rules, acting)
            elif last is not None:
                found = ending(rules, acting, last.text)
        if found is None:
            return None
        # A dropped turn is not in this log: the hold stands at the last one that is.
        return await self.turns.settle(session, speaker, last.turn if last else 0, found)

    def _end_session(self, session: SessionState, termination: Termination) -> None:
        self.journal.emit(
            SessionEnded(
                session=session.index,
                session_type=session.session_type,
                termination=termination.as_dict(),
                turns=len(session.turns),
                duration=round(self.journal.writer.now() - self._session_started, 4),
            )
        )
        self.state.current = None
        place = self.journal.place
        place.turn = place.side = place.attempt = None

    def _close_open_session(self, termination: Termination) -> None:
        session = self.state.current
        index = 0
        if self.journal.writer.broken is not None:
            return
        if session is not None and session.index not in {
            s.index for s in self.journal.transcript.sessions if s.termination
        }:
            index = session.index
            self._end_session(session, termination)
        elif self.state.sessions:
            index = max(self.state.sessions)
        self._skip_rest(index, f"the conversation ended: {termination.kind}")

    def _skip_rest(self, index: int, reason: str) -> None:
        for later, session_type in enumerate(self.state.prepared, 1):
            if later > index and later not in self.state.sessions:
                self.journal.emit(
                    SessionEnded(session=later, session_type=session_type, skipped=reason)
                )

    def _totals(self) -> dict[str, Any]:
        transcript = self.journal.transcript
        return {
            "turns": sum(len(session.turns) for session in self.state.sessions.values()),
            "inherited_turns": len(self.seed.turns) if self.seed is not None else 0,
            "discarded": transcript.counts.get("turn.discarded", 0),
            "sessions": len(transcript.sessions),
            "seconds": round(self.journal.writer.now(), 4),
            "usage": {side: totals.as_dict() for side, totals in transcript.totals.items()},
        }

    def _warn(self, code: str, message: str) -> None:
        self.journal.emit(Warned(code=code, message=message))
