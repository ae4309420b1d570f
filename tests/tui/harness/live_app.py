"""An app in the debugger of a run, on a fake engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from convtui.client.engine_client import EngineHandle, EngineState
from convtui.config.paths import write_state
from convtui.protocol import StartSpec
from convtui.tui.app import ConvtuiApp
from convtui.tui.screens.debugger.screen import DebuggerScreen
from convtui.tui.sources.run import ContinueRun, LiveRun
from convtui.tui.sources.source import LiveSource
from tests.tui.harness.fake_handle import FakeHandle
from tests.tui.harness.sample import until, write_log


class LiveApp:
    """The app; `opening` are the first records of its run, of which two items are shown."""

    def __init__(
        self,
        folder: Path,
        opening: Sequence[dict[str, Any]],
        scenario: dict[str, Any],
        *,
        continue_run: ContinueRun | None = None,
    ) -> None:
        self._opening = opening
        # The hint for newcomers would take the place of the notices that are looked at.
        write_state(folder / "state.json", {"hinted": True})
        self.handle = FakeHandle(write_log(folder / "a.jsonl", opening, closed=False))
        spec = StartSpec(scenario=scenario, out_dir=str(folder))
        run = LiveRun(
            spec,
            make_handle=lambda: cast(EngineHandle, self.handle),
            continue_run=continue_run,
        )
        self.app = ConvtuiApp(
            lambda app: DebuggerScreen(app.keymap, LiveSource(run.handle), run),
            state_file=folder / "state.json",
        )
        self.app.runs.current = run

    @property
    def screen(self) -> DebuggerScreen:
        return next(s for s in self.app.screen_stack if isinstance(s, DebuggerScreen))

    @property
    def last(self) -> tuple[str, dict[str, Any]]:
        """The latest order to the engine."""
        return self.handle.orders[-1]

    def notices(self) -> str:
        return " ".join(notice.message for notice in self.app._notifications)

    async def begin(self, pilot: Any) -> None:
        await until(pilot, lambda: self.handle.state is EngineState.RUNNING)
        self.handle.tell(*self._opening)
        await until(pilot, lambda: self.screen.view.shown_items == 2)
