"""The sessions of a conversation, in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from convtui.engine.conversation.lifecycle import Lifecycle
from convtui.engine.conversation.restoring import ProviderRestorer
from convtui.engine.conversation.session_records import SessionRecords
from convtui.engine.conversation.turn_loop import TurnLoop
from convtui.engine.core.state import ConversationState
from convtui.engine.resume.state import ResumeState, bad_ending
from convtui.errors import HookError, ProviderError
from convtui.providers.base import Provider
from convtui.records.models import Speaker, Termination
from convtui.scenario.scenario import Scenario
from convtui.text.causes import describe
from convtui.text.tracebacks import own_frames


class Sessions:
    """Runs the prepared sessions that have not ended in a parent log.

    `restorer` restores the provider before the first of them, and `on_restored` is awaited after
    that; `restorer` is None unless the parent log ends in a session.
    """

    def __init__(
        self,
        *,
        scenario: Scenario,
        state: ConversationState,
        provider: Provider,
        lifecycle: Lifecycle,
        records: SessionRecords,
        turn_loop: TurnLoop,
        seed: ResumeState | None,
        restorer: ProviderRestorer | None,
        on_restored: Callable[[], Awaitable[None]],
    ) -> None:
        self._scenario = scenario
        self._state = state
        self._provider = provider
        self._lifecycle = lifecycle
        self._records = records
        self._turn_loop = turn_loop
        self._seed = seed
        self._restorer = restorer
        self._on_restored = on_restored

    async def run(self) -> Termination:
        """Runs the sessions; returns the first bad termination, else the last one.

        Raises `ProviderError` when no session is left.
        """
        last: Termination | None = None
        bad: Termination | None = None
        for index, session_type in self._remaining():
            await self._enter(index, session_type, first=last is None)
            last = await self._run_session(index, session_type)
            if bad is None and bad_ending(last.as_dict()):
                bad = last
            if self._ends_all(last):
                self._records.skip_after(index, f"session {index} ended: {last.kind}")
                break
        if last is None:
            raise ProviderError("there is no session left to hold")
        return bad or last

    def _remaining(self) -> Iterator[tuple[int, str]]:
        first = 1 if self._seed is None else self._seed.current
        ended = set() if self._seed is None else self._seed.ended_sessions
        for index, session_type in enumerate(self._state.prepared, 1):
            if index >= first and index not in ended:
                yield index, session_type

    def _ends_all(self, termination: Termination) -> bool:
        """Whether the sessions after one that ended like this are skipped."""
        if termination.kind == "max_turns":
            return self._scenario.turns_scope != "session"
        return termination.kind in ("failed", "interrupted", "abstained", "budget")

    async def _enter(self, index: int, session_type: str, *, first: bool) -> None:
        """Calls the provider's hooks before a session; in a continuation also restores it."""
        restorer = self._restorer if first else None
        if restorer is not None:
            await restorer.decide(index)
        if not first or self._needs_reset(index):
            await self._lifecycle.reset(session_type, index)
        elif restorer is not None and restorer.replaying and index > 1:
            await self._lifecycle.reset(session_type, index, replayed=True)
        await self._lifecycle.enter(session_type, index)
        if restorer is not None:
            await restorer.restore(index)
            await self._on_restored()

    def _needs_reset(self, index: int) -> bool:
        """Whether the session before ended in the parent log, but the reset after it is missing."""
        seed = self._seed
        if seed is None or index - 1 not in seed.ended_sessions:
            return False
        return index != seed.current and index not in seed.was_reset

    async def _run_session(self, index: int, session_type: str) -> Termination:
        seed = self._seed
        continued = seed is not None and index == seed.current and seed.started
        speaker = self._first_speaker()
        session = self._state.current if continued else None
        if session is None:
            session = self._state.open_session(index, session_type, speaker)
        self._records.start(session, continued=continued)
        termination = await self._turn_loop.run(session, continued=continued)
        self._records.end(session, termination)
        if self._scenario.persona_memory == "session":
            await self._lifecycle.close_user(index)
        return termination

    def _first_speaker(self) -> Speaker:
        """The first speaker that the provider declares, else the scenario's. Raises `HookError`."""
        hook = "first_speaker"
        try:
            declared = self._provider.first_speaker
        except Exception as error:
            raise HookError(
                f"{hook} failed: {describe(error)}", hook=hook, frames=own_frames(error)
            ) from error
        speaker: Speaker = declared or self._scenario.first_speaker
        if speaker not in ("persona", "provider"):
            raise HookError(
                f"{hook} is {declared!r}; it must be 'persona', 'provider' or None", hook=hook
            )
        return speaker
