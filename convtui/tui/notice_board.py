"""Shows the notices of an app in the line above the keys."""

from __future__ import annotations

import time

from textual.app import App
from textual.notifications import SeverityLevel
from textual.timer import Timer

from convtui.tui.notices import Notices
from convtui.tui.textual_compat import ToastlessApp
from convtui.tui.timers import call_once
from convtui.tui.widgets.notice_line import NoticeLine


class NoticeBoard:
    """The notices of a session, and the one on the visible screen."""

    def __init__(self, app: App[int]) -> None:
        self._app = app
        self.notices = Notices(time.monotonic)
        self._timer: Timer | None = None
        self._screens = 0
        """The number of open screens when the current notice came."""

    def add(self, text: str, severity: str, timeout: float) -> None:
        self.notices.add(text, severity, timeout)
        self._screens = len(self._app.screen_stack)

    def draw(self) -> None:
        """Draws the current notice on the visible screen, until its time is over."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        app = self._app
        if not app.screen_stack or not app.screen.is_mounted:
            return
        if len(app.screen_stack) > self._screens:
            # It was about the screen that another one covers now.
            self.notices.dismiss()
        notice = self.notices.current
        lines = list(app.screen.query(NoticeLine))
        if not lines and notice is not None:
            # A dialog: the notice covers the keys of the screen below, which do nothing now.
            lines = [NoticeLine(classes="-over")]
            app.screen.mount(lines[0])
        for line in lines:
            line.show(notice)
        for screen in app.screen_stack[:-1]:
            for line in screen.query(NoticeLine):
                line.show(None)
        if notice is not None:
            self._timer = call_once(app, self.notices.time_left + 0.05, self.draw)

    def open_log(self) -> None:
        from convtui.tui.screens.dialogs.notices import NoticesScreen

        self._app.push_screen(NoticesScreen(self.notices.log))


class NoticeApp(ToastlessApp[int], inherit_bindings=False):
    """An app whose notices are on a line of their screen, and in a log."""

    def __init__(self) -> None:
        super().__init__()
        self.board = NoticeBoard(self)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # never: texts of providers are shown
    ) -> None:
        """Shows a notice in the line above the keys, and keeps it in the log."""
        timeout = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        self.board.add(f"{title}: {message}" if title else message, severity, timeout)
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=False)

    def clear_notifications(self) -> None:
        self.board.notices.dismiss()
        super().clear_notifications()

    def draw_notice(self) -> None:
        self.board.draw()

    def on_notice_line_clicked(self) -> None:
        self.board.open_log()
