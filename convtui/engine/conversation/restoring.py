"""Brings the provider of a continuation to where the conversation stood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from convtui.engine.conversation.lifecycle import Lifecycle
from convtui.engine.core.gate import FAIL, REPLAY, WITHOUT_STATE, Gate, Point
from convtui.engine.core.journal import Journal
from convtui.engine.core.state import ConversationState
from convtui.engine.resume.provider_replay import ProviderReplay
from convtui.engine.resume.state import ResumeState
from convtui.errors import InterruptedRunError, ProviderError
from convtui.providers.base import Provider
from convtui.providers.declared import defines
from convtui.records.models import ProviderRestored, Warned
from convtui.scenario.provider_hooks import RESTORE


class ProviderRestorer:
    """Restores a provider by its own `restore()`, or replays the conversation into it.

    A provider that keeps no state needs neither. Where it may keep some and has no `restore()`,
    the gate holds with `cannot_restore`. A replay that was chosen earlier in the conversation is
    done again without asking; so is going on without a state that may not be there.
    """

    def __init__(
        self,
        *,
        journal: Journal,
        gate: Gate,
        state: ConversationState,
        provider: Provider,
        seed: ResumeState,
        lifecycle: Lifecycle,
        begin_replay: Callable[[], ProviderReplay],
    ) -> None:
        self._journal = journal
        self._gate = gate
        self._state = state
        self._provider = provider
        self._seed = seed
        self._lifecycle = lifecycle
        self._begin_replay = begin_replay
        self._replay: ProviderReplay | None = None
        self._mode: Literal["restore", "stateless", "unrestored"] = "stateless"

    @property
    def replaying(self) -> bool:
        """Whether the conversation is replayed into the provider."""
        return self._replay is not None

    async def decide(self, index: int) -> None:
        """Decides how to restore the provider before session `index`; holds where it cannot.

        Must come before `enter_session()`: a replay goes through the earlier sessions in order,
        and is up to that session when this returns. `restore()` does the rest. Raises
        `ProviderError` where the hold is answered with `fail`, and `InterruptedRunError` where
        nobody watches.
        """
        provider = self._provider
        if defines(provider, RESTORE.name):
            self._mode = "restore"
            return
        if provider.stateful is False or not self._seed.said_something:
            self._mode = "stateless"
            return
        known = provider.stateful is True
        what = (
            "keeps state and has no restore(): it does not know what was said before"
            if known
            else "does not say whether it keeps state between calls, and has no restore();"
            " `stateful = False` in the class says that it gets all it needs in its arguments"
        )
        detail = f"{provider.name} {what}"
        self._mode = "unrestored"
        chosen = self._seed.restored_by
        if chosen == "unrestored" and not known:
            return
        if chosen == "replayed" and self._gate.watched:
            self._journal.emit(
                Warned(
                    code="replaying",
                    message=f"the conversation is replayed into {provider.name}, as chosen before:"
                    " it is asked again what it was asked",
                )
            )
            await self._begin(index)
            return
        self._journal.emit(Warned(code="cannot_restore", message=detail))
        if not self._gate.watched:
            if known and self._gate.on_pause != "continue":
                raise InterruptedRunError(detail)
            return
        release = await self._gate.wait(
            "cannot_restore",
            Point(index, None, "restore"),
            [],
            (REPLAY, WITHOUT_STATE, FAIL),
            detail=detail,
        )
        if release.choice == FAIL.id:
            raise ProviderError(detail)
        if release.choice == REPLAY.id:
            await self._begin(index)

    async def _begin(self, index: int) -> None:
        self._replay = self._begin_replay()
        await self._replay_earlier(self._replay, index)

    async def _replay_earlier(self, replay: ProviderReplay, index: int) -> None:
        """Replays the sessions before `index`, lifecycle hooks included."""
        replay.sessions_differ(await self._lifecycle.prepare(replayed=True))
        for earlier in range(1, index):
            session_type = self._state.prepared[earlier - 1]
            if earlier > 1:
                await self._lifecycle.reset(session_type, earlier, replayed=True)
            await self._lifecycle.enter(session_type, earlier, replayed=True)
            await replay.turns(earlier)

    async def restore(self, index: int) -> None:
        """Restores the provider in session `index`, which it has entered."""
        if self._replay is not None:
            await self._replay.turns(index)
            self._replay.done()
            return
        seconds = 0.0
        if self._mode == "restore":
            restored = await self._lifecycle.call(
                RESTORE,
                self._provider.restore,  # type: ignore[attr-defined]
                self._seed.restore_state(index),
                index=index,
            )
            seconds = restored.seconds
        self._journal.emit(ProviderRestored(mode=self._mode, duration=seconds))
