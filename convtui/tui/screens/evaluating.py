"""What is asked about the whole log that is shown: its profile, its hooks again."""

from __future__ import annotations

from pathlib import Path

from convtui.tui.screens.base import DebuggerBase


class Evaluating(DebuggerBase):
    """Hands the log to other screens, a live one as far as it has come."""

    def _log(self) -> Path | None:
        path = self.source.path
        if path is None:
            self.tell("There is no log yet.", "warning")
        return path

    async def do_rehook_open(self) -> None:
        """Runs a provider's hooks again over this log."""
        from convtui.tui.screens.rehooking import open_rehook, own_provider

        path = self._log()
        if path is not None:
            await open_rehook(self.capp, [path], own_provider(self.transcript.header))

    def do_profile_open(self) -> None:
        """The profile of this log."""
        from convtui.tui.screens.profile import ProfileScreen

        path = self._log()
        if path is not None:
            self.app.push_screen(ProfileScreen(self.keymap, [path], opens=False))
