"""The provider's lifecycle: each call timed, recorded, and held on when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from convtui.engine.gate import CONTINUE, FAIL, REPLAY, RETRY, Gate, InterruptedRunError, Point
from convtui.engine.journal import Journal
from convtui.engine.seed import Seed
from convtui.engine.sides import SideHooks, Timed, checked_sessions, lifecycle
from convtui.engine.state import ConversationState, SessionState
from convtui.engine.tools import Toolbox
from convtui.errors import (
    ConversationError,
    HookError,
    ProviderError,
    ToolError,
    UserSimulatorError,
)
from convtui.events import (
    ProviderCleanup,
    ProviderRestored,
    ProviderSetup,
    SessionEntered,
    SessionReset,
    SessionsPrepared,
    UserCleanup,
    UserClosed,
    Warned,
)
from convtui.protocol import describe_error
from convtui.providers.base import HistoryTurn, Request
from convtui.providers.loader import Loaded
from convtui.scenario import Scenario
from convtui.simulators.base import UserSimulator

_CLEANUP_WITHIN = 30.0
"""Seconds that a cleanup may take; it survives cancellation that long."""


class Lifecycle:
    """Calls the lifecycle hooks of both sides in the places the runner says."""

    def __init__(
        self,
        *,
        scenario: Scenario,
        journal: Journal,
        gate: Gate,
        state: ConversationState,
        loaded: Loaded,
        simulator: UserSimulator,
        toolbox: Toolbox,
        seed: Seed | None,
        redact: Callable[[str], str],
    ) -> None:
        self._scenario = scenario
        self._journal = journal
        self._gate = gate
        self._state = state
        self._loaded = loaded
        self._provider = loaded.provider
        self._simulator = simulator
        self._toolbox = toolbox
        self._seed = seed
        self._redact = redact

    async def set_up(self) -> None:
        """Starts the tool servers, then `setup()` of both sides: once, before anything else.

        Raises `ToolError` and `UserSimulatorError`.
        """
        self._toolbox.connect(self._journal)
        while True:
            try:
                await self._toolbox.start()
                break
            except ToolError as error:
                await self._try_again(error, "setup")
        user = await lifecycle("setup", self._simulator.setup)
        if user.error is not None:
            raise UserSimulatorError(f"the user simulator's {user.error}") from user.error
        while True:
            timed = await lifecycle("setup", self._provider.setup)
            hooks = SideHooks(self._simulator)
            self._journal.emit(
                ProviderSetup(
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                    hooks=self._loaded.hooks,
                    stateful=self._provider.stateful,
                    termination_signals=list(self._provider.termination_signals),
                    persona_signals=hooks.signals,
                )
            )
            if timed.error is None or not await self._try_again(timed.error, "setup"):
                return

    async def prepare(self) -> None:
        """`prepare_sessions()`: which sessions are held, in which order."""
        requested = self._scenario.session_types
        while True:
            timed = await lifecycle(
                "prepare_sessions", self._provider.prepare_sessions, list(requested)
            )
            error = timed.error
            prepared: list[str] = []
            if error is None:
                try:
                    prepared = checked_sessions(timed.value)
                except HookError as wrong:
                    error = wrong
            if error is None:
                self._state.prepared = prepared
                self._journal.emit(
                    SessionsPrepared(requested=requested, prepared=prepared, duration=timed.seconds)
                )
                return
            await self._try_again(error, "setup")

    async def enter(self, session_type: str, index: int) -> None:
        """`enter_session()`: before every session."""
        while True:
            timed = await lifecycle("enter_session", self._provider.enter_session, session_type)
            self._journal.emit(
                SessionEntered(
                    session=index,
                    session_type=session_type,
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                )
            )
            if timed.error is None or not await self._try_again(timed.error, "session", index):
                return

    async def reset(self, next_type: str, index: int) -> None:
        """`finish_and_reset_session()`: between two sessions."""
        while True:
            timed = await lifecycle(
                "finish_and_reset_session", self._provider.finish_and_reset_session, next_type
            )
            self._journal.emit(
                SessionReset(
                    session=index - 1,
                    next_session_type=next_type,
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                )
            )
            if timed.error is None or not await self._try_again(timed.error, "session", index):
                return

    async def _try_again(
        self, error: ConversationError, stage: str, index: int | None = None
    ) -> bool:
        """Holds on a failed lifecycle call; True when it is to be called again, else raises."""
        if not self._gate.watched:
            raise error
        release = await self._gate.wait(
            "error",
            Point(index, None, stage),
            [],
            (RETRY, FAIL),
            detail=str(error),
            error=self._error(error),
        )
        if release.choice != RETRY.id:
            raise error
        return True

    async def restore(self, index: int) -> None:
        """Brings the provider to where the conversation stands, before session `index` goes on."""
        assert self._seed is not None
        provider = self._provider
        restore = getattr(provider, "restore", None)
        if callable(restore):
            while True:
                timed = await lifecycle("restore", restore, self._seed.restore_state(index))
                if timed.error is None:
                    break
                await self._try_again(timed.error, "restore", index)
            self._journal.emit(ProviderRestored(mode="restore", duration=timed.seconds))
            return
        if provider.stateful is False or not self._seed.turns:
            self._journal.emit(ProviderRestored(mode="stateless"))
            return
        known = provider.stateful is True
        what = (
            "keeps state and has no restore(): it does not know what was said before"
            if known
            else "does not say whether it keeps state between calls, and has no restore();"
            " `stateful = False` in the class says that it gets all it needs in its arguments"
        )
        detail = f"{provider.name} {what}"
        if not known and self._seed.accepted_unrestored:
            # Asked and answered when this conversation was first gone on with.
            self._journal.emit(ProviderRestored(mode="unrestored"))
            return
        self._warn("cannot_restore", detail)
        if not self._gate.watched:
            if known and self._gate.on_pause != "continue":
                raise InterruptedRunError(detail)
            self._journal.emit(ProviderRestored(mode="unrestored"))
            return
        release = await self._gate.wait(
            "cannot_restore",
            Point(index, None, "restore"),
            [],
            (REPLAY, CONTINUE, FAIL) if known else (CONTINUE, REPLAY, FAIL),
            detail=detail,
        )
        if release.choice == FAIL.id:
            raise ProviderError(detail)
        if release.choice == REPLAY.id:
            await self._replay_prefix(index)
        else:
            self._journal.emit(ProviderRestored(mode="unrestored"))

    async def _replay_prefix(self, index: int) -> None:
        """Puts the current session to the provider again and compares what it answers now."""
        session = self._state.sessions.get(index)
        if session is None:
            self._journal.emit(ProviderRestored(mode="replayed"))
            return
        probe = ConversationState(self._scenario)
        replayed = probe.open_session(session.index, session.session_type, session.first_speaker)
        drift: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        started = loop.time()
        for turn in session.turns:
            said_unasked = not replayed.turns and self._scenario.provider.first_message is not None
            if turn.speaker == "provider" and not said_unasked:
                answer = await self._answer_again(replayed, turn)
                if answer != turn.text:
                    drift.append(
                        {
                            "session": turn.session,
                            "turn": turn.turn,
                            "recorded": turn.text,
                            "replayed": answer,
                        }
                    )
            probe.commit(replayed, turn)
        self._journal.emit(
            ProviderRestored(
                mode="replayed",
                duration=round(loop.time() - started, 4),
                drift=drift or None,
            )
        )

    async def _answer_again(self, session: SessionState, turn: HistoryTurn) -> str:
        from convtui.engine.calls import guarded
        from convtui.models.base import ReplyFold

        messages = [dict(message) for message in session.messages]
        if not session.turns:
            prompt = self._scenario.provider.start_prompt
            messages.append({"role": "user", "content": prompt})
        if self._provider.system_prompt:
            messages.insert(0, {"role": "system", "content": self._provider.system_prompt})
        request = Request(
            messages=messages,
            session=session.index,
            session_type=session.session_type,
            turn=turn.turn,
            history=tuple(session.turns),
            tools=self._toolbox.schemas,
        )
        fold = ReplyFold()
        try:
            async with asyncio.timeout(self._scenario.limits.turn_timeout):
                async for delta in guarded(lambda: self._provider.respond(request)):
                    fold.add(delta)
            return SideHooks(self._provider).post_process(fold.text)
        except (ConversationError, TimeoutError) as error:
            return f"({type(error).__name__}: {error})"

    async def close_user(self, session: int | None = None) -> None:
        """Closes the session of its own that a responder has; also while being cancelled."""
        timed = await self._shielded("close", self._simulator.close)
        if (timed.value is None and timed.error is None) or not self._can_write:
            return
        self._journal.emit(
            UserClosed(
                session=session,
                side="responder",
                calls=timed.value or 0,
                duration=timed.seconds,
                outcome="failed" if timed.error else "ok",
                error=self._error(timed.error),
            )
        )
        if timed.error is not None:
            self._warn("close_failed", str(timed.error))

    @property
    def _can_write(self) -> bool:
        return not self._journal.writer.closed and self._journal.writer.broken is None

    async def clean_up(self) -> None:
        """`cleanup()` of both sides, whatever has happened."""
        await self.close_user()
        for kind, target in ((ProviderCleanup, self._provider), (UserCleanup, self._simulator)):
            timed = await self._shielded("cleanup", target.cleanup)
            if not self._can_write:
                continue
            self._journal.emit(
                kind(
                    duration=timed.seconds,
                    outcome="failed" if timed.error else "ok",
                    error=self._error(timed.error),
                )
            )
            if timed.error is not None:
                self._warn("cleanup_failed", str(timed.error))
        timed = await self._shielded("stop_tools", self._toolbox.stop)
        if timed.error is not None and self._can_write:
            self._warn("cleanup_failed", str(timed.error))

    @staticmethod
    async def _shielded(hook: str, function: Callable[[], Any]) -> Timed:
        """Calls it even while the conversation is being cancelled, within a time limit."""
        task = asyncio.ensure_future(lifecycle(hook, function))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CLEANUP_WITHIN
        while not task.done():
            try:
                await asyncio.wait({task}, timeout=max(0.0, deadline - loop.time()))
            except asyncio.CancelledError:
                continue
            if loop.time() >= deadline:
                task.cancel()
                error = HookError(f"{hook}() took longer than {_CLEANUP_WITHIN:g} s", hook=hook)
                return Timed(None, _CLEANUP_WITHIN, error)
        return task.result()

    def _warn(self, code: str, message: str) -> None:
        self._journal.emit(Warned(code=code, message=message))

    def _error(self, error: Exception | None) -> dict[str, Any] | None:
        return None if error is None else describe_error(error, redact=self._redact)
