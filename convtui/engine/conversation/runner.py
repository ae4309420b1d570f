"""The runner: one conversation from `setup` to `cleanup`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Literal

from convtui.config.paths import writable_dir
from convtui.engine.calls.calls import Caller
from convtui.engine.calls.retrying import RetryRules
from convtui.engine.conversation.breakpoints import Breakpoints
from convtui.engine.conversation.compress import Compressor
from convtui.engine.conversation.endings import Endings
from convtui.engine.conversation.header import log_name, make_header, write_header
from convtui.engine.conversation.lifecycle import Lifecycle
from convtui.engine.conversation.prepare import (
    check_continuation,
    load_provider_of,
    make_simulator,
    make_toolbox,
    restore_simulator,
    start_warnings,
    warm_context_of,
)
from convtui.engine.conversation.reflection import PromptKeeper, Reflector, reflecting_client
from convtui.engine.conversation.restoring import ProviderRestorer
from convtui.engine.conversation.session_records import SessionRecords
from convtui.engine.conversation.sessions import Sessions
from convtui.engine.conversation.turn_loop import TurnLoop
from convtui.engine.conversation.wiring import Wiring
from convtui.engine.core.gate import Gate
from convtui.engine.core.journal import Journal
from convtui.engine.core.reflections import Reflection
from convtui.engine.core.state import ConversationState
from convtui.engine.resume.provider_replay import ProviderReplay
from convtui.engine.resume.state import ResumeState
from convtui.engine.turn.context import TurnContext
from convtui.engine.turn.holds import Holds
from convtui.engine.turn.turn import Turns
from convtui.errors import (
    ConversationError,
    ConvtuiError,
    FileError,
    InterruptedRunError,
    LogError,
)
from convtui.log.names import free_log_path
from convtui.log.writer import LogWriter
from convtui.protocol import StartSpec
from convtui.records.models import ContextSeeded, ReflectionAdded, Termination, Warned
from convtui.scenario.scenario import Scenario

_CANCELLED: Final = (
    "the conversation's own task was cancelled, and not by convtui: provider code did it"
)


class Conversation:
    """One conversation: loads both sides, opens the log, runs the sessions, closes the log.

    The constructor loads and opens; it raises `UsageError` (an unusable SPEC, an unwritable
    folder) before there is a log. A failure of either side ends up in the log and in the
    termination that `run()` returns.
    """

    def __init__(
        self, scenario: Scenario, spec: StartSpec, wiring: Wiring, seed: ResumeState | None = None
    ) -> None:
        self._scenario = scenario
        self._spec = spec
        self._seed = seed
        self.redactor = wiring.redactor
        scenario.tell(self.redactor)
        self._termination: Termination | None = None
        self._wiring = wiring
        self._loaded = load_provider_of(scenario, spec, wiring.models)
        # The provider's module may have loaded a file of variables.
        self.redactor.look_everywhere()
        provider = self.provider = self._loaded.provider
        self.simulator = make_simulator(scenario, spec, wiring.models)
        self.toolbox = make_toolbox(scenario, provider, seed, self.redactor)
        self.state = ConversationState(scenario, warm_context_of(scenario, seed))
        if spec.attempt is not None:
            self.state.reflections = tuple(
                Reflection.from_record(item, "") for item in spec.attempt.reflections
            )
        reflecting = (
            None
            if spec.attempt is None
            else reflecting_client(spec.attempt, provider, wiring.models)
        )
        if seed is not None:
            seed.fill(self.state)
            restore_simulator(self.simulator, seed)
            check_continuation(self.state, seed, spec.continue_from)
        self.breakpoints = Breakpoints(
            scenario.breakpoints if spec.breakpoints is None else spec.breakpoints
        )
        self.id = uuid.uuid4().hex
        self.journal = Journal(self._open_log())
        self.journal.when_folded(self.breakpoints.records.add)
        self.gate = Gate(
            self.journal,
            watched=spec.watched,
            on_pause=spec.on_pause,
            publish=wiring.publish_gate,
            breaks=lambda point: self.breakpoints.fires(point, self.journal.transcript),
            may_break=self.breakpoints.__bool__,
            # A conversation that was held when another engine had it stays held.
            paused=spec.paused or (spec.continue_from is not None and spec.continue_from.held),
            paused_because=_held_after(spec),
            not_before=spec.continue_from.stage if spec.continue_from is not None else None,
            holds_endings=spec.hold_endings,
            waits=self._stop_where_told,
        )
        retry = scenario.retry
        self.caller = Caller(
            self.journal,
            retry=RetryRules(retry.attempts, retry.base_delay, retry.max_delay, retry.max_wait),
            timeout=scenario.limits.turn_timeout,
            publish_delta=wiring.publish_delta,
            seen=wiring.seen,
            redactor=self.redactor,
            permits=wiring.permits,
            waits=self._stop_where_told,
        )
        holds = Holds(self.journal, self.gate, self.caller, self.redactor.text)
        self.turns = Turns(
            TurnContext(scenario, self.journal, holds, self.caller),
            state=self.state,
            provider=provider,
            simulator=self.simulator,
            toolbox=self.toolbox,
        )
        self._prompt_keeper = PromptKeeper(self.journal, self.state, provider)
        self._lifecycle = Lifecycle(
            scenario=scenario,
            journal=self.journal,
            gate=self.gate,
            state=self.state,
            loaded=self._loaded,
            simulator=self.simulator,
            toolbox=self.toolbox,
            redact=self.redactor.text,
            on_called=self._prompt_keeper.keep,
        )
        self._session_records = SessionRecords(self.journal, self.state)
        self._sessions = Sessions(
            scenario=scenario,
            state=self.state,
            provider=provider,
            lifecycle=self._lifecycle,
            records=self._session_records,
            turn_loop=TurnLoop(
                scenario, self.state, self.turns, seed, between_turns=self._stop_where_told
            ),
            seed=seed,
            restorer=self._restorer(),
            on_restored=self._compress,
        )
        self.endings = Endings(
            journal=self.journal,
            state=self.state,
            sessions=self._session_records,
            redact=self.redactor.text,
            inherited=0 if seed is None else len(seed.turns),
        )
        self._reflector = (
            None
            if spec.attempt is None
            else Reflector(
                spec.attempt,
                reflecting,
                journal=self.journal,
                gate=self.gate,
                caller=self.caller,
                state=self.state,
                provider=provider,
                run_id=self.id,
                redact=self.redactor.text,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self._stop_reason: tuple[Literal["human", "harness"], str] | None = None
        self._stop_after_turn: str | None = None
        self.on_begin: Callable[[], None] = lambda: None
        """Called when the log has its first records."""

    @property
    def holds_endings(self) -> bool:
        """Whether every ending holds also where nobody sees its records."""
        return self._spec.hold_endings

    def _open_log(self) -> LogWriter:
        folder = Path(self._spec.out_dir)
        try:
            return self._new_log(folder)
        except LogError:
            writable_dir(folder)  # says more of what is wrong with a folder
            raise

    def _new_log(self, folder: Path) -> LogWriter:
        if self._spec.log_name is not None:
            return LogWriter(free_log_path(folder, self._spec.log_name), self.redactor)
        workflow = self._scenario.provider.options.get("workflow")
        name = log_name(self.id, self.simulator.name, self.provider.name, workflow)
        return LogWriter(folder / name, self.redactor)

    def _restorer(self) -> ProviderRestorer | None:
        if self._seed is None or not self._seed.current:
            return None
        begin_replay = partial(
            ProviderReplay,
            scenario=self._scenario,
            journal=self.journal,
            gate=self.gate,
            caller=self.caller,
            state=self.state,
            provider=self.provider,
            toolbox=self.toolbox,
            seed=self._seed,
            redact=self.redactor.text,
        )
        return ProviderRestorer(
            journal=self.journal,
            gate=self.gate,
            state=self.state,
            provider=self.provider,
            seed=self._seed,
            lifecycle=self._lifecycle,
            begin_replay=begin_replay,
        )

    async def run(self) -> Termination:
        """Runs to the end and closes the log; returns why it ended.

        Raises `FileError` when the log cannot be written, and errors of the engine itself.
        """
        self._task = asyncio.current_task()
        try:
            self._write_opening()
        except FileError:
            self.journal.writer.abandon()
            raise
        if self._stop_reason is not None and self._task is not None:
            self._task.cancel()  # stopped before it began
        self.on_begin()
        try:
            self._termination = await self._run_to_termination()
        finally:
            await self._lifecycle.clean_up()
            if self._termination is None:
                self._termination = self._stopped()
            self.endings.close_log(self._termination)
            self.gate.close()
        return self._termination

    def stop(self, by: Literal["human", "harness"], reason: str) -> None:
        """Ends the conversation here, `interrupted`; the call in flight is cancelled."""
        if self._stop_reason is None:
            self._stop_reason = (by, reason)
            if self._task is not None:
                self._task.cancel()

    def stop_after_turn(self, reason: str) -> None:
        """Ends it as `stop()` by a human does, once the turn in progress is over or waits.

        It waits where it holds, before another attempt at a call, and for its endpoint's limit.
        """
        if self.gate.state == "held" or self.caller.waits:
            self.stop("human", reason)
        else:
            self._stop_after_turn = reason

    def _stop_where_told(self) -> None:
        if self._stop_after_turn is not None:
            self.stop("human", self._stop_after_turn)

    def _stopped(self) -> Termination:
        by, reason = self._stop_reason or ("harness", _CANCELLED)
        return self.endings.interrupted(by, reason)

    def _write_opening(self) -> None:
        """Writes the header and what a continuation begins with."""
        journal, seed = self.journal, self._seed
        journal.writer.start_clock()
        no_seal = write_header(
            journal,
            make_header(
                run_id=self.id,
                created_at=journal.writer.created_at,
                parent=self._spec.continue_from,
                attempt=self._spec.attempt,
                seed=seed,
                state=self.state,
                persona=self.simulator.name,
                provider=self.redactor.data(self._loaded.identity()),
                scenario=self._scenario.public(self.redactor),
            ),
        )
        if seed is not None:
            journal.emit(seed.record(self.state))
        if self.state.warm is not None:
            journal.emit(ContextSeeded(**self.state.warm.record()))
        for reflection in self.state.reflections:
            journal.emit(ReflectionAdded(**reflection.record()))
        if seed is not None and seed.not_restored:
            self._warn("not_restored", seed.not_restored)
        for damage in seed.damage if seed is not None else ():
            self._warn("damaged_parent", damage)
        if no_seal is not None:
            self._warn("no_seal", no_seal)
        for side in seed.taken_over if seed is not None else ():
            self.turns.human.take_over("provider" if side == "provider" else "persona")

    async def _run_to_termination(self) -> Termination:
        """Runs the sessions and makes a termination of every failure of either side."""
        try:
            return await self._run_sessions()
        except asyncio.CancelledError:
            termination = self._stopped()
        except InterruptedRunError as error:
            termination = self.endings.unattended(error)
        except ConversationError as error:
            termination = self.endings.failed(error)
        except ConvtuiError:
            raise
        except Exception as error:
            # An error of the engine itself must leave a complete log, too.
            self._termination = self.endings.broken(self._wiring.explain_failure(error))
            self._session_records.end_all(self._termination)
            raise
        self._session_records.end_all(termination)
        return termination

    async def _run_sessions(self) -> Termination:
        if self._reflector is not None:
            await self._reflector.reflect()
        self._prompt_keeper.keep()
        await self._lifecycle.set_up()
        if self._seed is None or not self.state.prepared:
            await self._lifecycle.prepare()
        warnings = start_warnings(
            self._scenario,
            self._loaded,
            models=self._wiring.models,
            # A continuation keeps the warm context that its parent was warned about.
            warm=self.state.warm if self._seed is None else None,
            toolbox=self.toolbox,
        )
        async for code, sentence in warnings:
            self._warn(code, sentence)
        return await self._sessions.run()

    async def _compress(self) -> None:
        """Compresses the open session, if that is what the continuation is for.

        Raises `InterruptedRunError` for a continuation that is to stop there.
        """
        parent = self._spec.continue_from
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

    def _warn(self, code: str, message: str) -> None:
        self.journal.emit(Warned(code=code, message=message))


def _held_after(spec: StartSpec) -> str:
    """Why a conversation is held that goes on in this engine; empty for any other."""
    parent = spec.continue_from
    if parent is None or not parent.held:
        return ""
    return f"held after the {_WORDS.get(parent.kind, parent.kind)}"


_WORDS: Final = {"resume": "return to it", "go_on": "return to it", "compress": "summary"}
"""What was done, where the kind of the continuation is no word for it."""
