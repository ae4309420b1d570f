"""Opens conversations of a batch: one in the debugger, or many in a profile or a rehook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from convtui.text.boundary import visible_line
from convtui.tui.screens.fleet.fleet_list import FleetList
from convtui.tui.screens.fleet.view import Fleet, FleetRow
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.screen_context import ScreenContext


class FleetOpening:
    """Opens other screens on rows of the list."""

    def __init__(
        self,
        context: ScreenContext,
        fleet: Fleet,
        listed: FleetList,
        *,
        enter_label: Callable[[], str | None],
        replay: Callable[[Path], None],
        rehook: Callable[[Sequence[Path], str], Awaitable[None]],
    ) -> None:
        """`replay` opens a log; `rehook` gets logs and the provider that they name."""
        self._context, self._fleet, self._listed = context, fleet, listed
        self._enter_label, self._replay, self._open_rehook = enter_label, replay, rehook

    def handlers(self) -> Iterator[Handler]:
        yield Handler("fleet.open", self.open, self._any, self._enter_label)
        yield Handler("profile.open", self._profile, self._any)
        yield Handler("rehook.open", self._rehook, self._any)

    def _any(self) -> bool:
        return self._listed.selected is not None

    def open(self) -> None:
        """Opens the debugger on the selected row: live where it runs, else on its log."""
        row = self._listed.selected
        if row is None:
            return
        self._listed.hold()
        controls = self._fleet.controls
        if not row.over and controls is not None and controls.open(row):
            return
        if row.log is not None and (row.over or row.state != "waiting"):
            self._replay(self._fleet.folder / row.log)
        else:
            self._context.notify(_nothing_to_open(row))

    def _logs(self) -> list[Path]:
        """The logs of the conversations that are listed and over."""
        listed = self._listed
        rows = (listed.row_at(place) for place in range(len(listed.shown)))
        return [self._fleet.folder / row.log for row in rows if row.log is not None and row.over]

    def _profile(self) -> None:
        from convtui.tui.screens.profile.screen import ProfileScreen

        logs = self._logs()
        if logs:
            self._context.open(ProfileScreen(self._context.keymap, logs))
        else:
            self._context.notify("No conversation that is listed is over yet.")

    async def _rehook(self) -> None:
        logs, row = self._logs(), self._listed.selected
        if logs and row is not None:
            await self._open_rehook(logs, row.provider)
        else:
            self._context.notify("No conversation that is listed is over yet.")


def _nothing_to_open(row: FleetRow) -> str:
    name = visible_line(row.key, 60)
    if row.state == "waiting":
        return f"{name} has not begun yet."
    reason = visible_line(str((row.termination or {}).get("reason") or ""), 300)
    return f"{name} has no log{f': {reason}' if reason else '.'}"
