"""Handles every key and paste first, so that text is typed and commands do not run by accident."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual import events
from textual.message import Message
from textual.widget import Widget

from convtui.tui.keyboard.typing_guard import AFTER_TEXT, BURST_GAP, Stroke, TypingGuard, Verdict
from convtui.tui.textual_compat import MISREAD_KEYS, forward
from convtui.tui.timers import call_once

if TYPE_CHECKING:
    from textual.app import App


def takes_text(widget: Widget | None) -> bool:
    """Whether keys are text while `widget` has the focus."""
    if widget is None:
        return False
    # Importing these widgets takes longer than the first frame; some screens load them later.
    from textual.widgets import Input, TextArea

    return isinstance(widget, Input) or (isinstance(widget, TextArea) and not widget.read_only)


def _only_shows(widget: Widget | None, key: str) -> bool:
    """Whether a key of an input moves the view and does nothing else."""
    if key != "enter":
        return False
    from convtui.tui.widgets.view_line import ViewLine

    return isinstance(widget, ViewLine)


def _one_line(widget: Widget | None) -> bool:
    from textual.widgets import Input

    return isinstance(widget, Input)


class KeyClock:
    """The time of keys, and delayed calls. Tests replace it."""

    def now(self) -> float:
        """The time in seconds, on the clock that stamps messages."""
        return Message().time

    def arrived(self, event: events.Key) -> float:
        """When the terminal's thread read the key, however late the event loop handles it."""
        return event.time

    def later(self, app: App[Any], delay: float, callback: Callable[[], object]) -> None:
        """Calls back after `delay` seconds, behind the keys that arrive in the meantime."""
        call_once(app, delay, lambda: app.call_later(callback))


class OncePerBurst:
    """Calls back for the first of several keys that come fast."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._at = float("-inf")

    def happened(self, at: float) -> None:
        before, self._at = self._at, at
        if at - before > AFTER_TEXT:
            self._callback()


class TypedKeys:
    """Carries out the verdicts of `TypingGuard` on the app's keys.

    `deliver` passes a key on; `acts` says whether a key does more, outside of an input, than show
    something; `dropped` is called when keys were ignored, `joined` when an Enter was typed as a
    space.
    """

    def __init__(
        self,
        app: App[Any],
        *,
        deliver: Callable[[events.Key], Awaitable[None]],
        acts: Callable[[str], bool],
        dropped: Callable[[], None],
        joined: Callable[[], None],
        clock: KeyClock | None = None,
    ) -> None:
        self.clock = clock or KeyClock()
        self._app = app
        self._deliver, self._acts = deliver, acts
        self._dropped, self._joined = OncePerBurst(dropped), OncePerBurst(joined)
        self._guard = TypingGuard()
        self._typed_in: Widget | None = None
        """The input that was typed in last."""
        self._decisions = 0

    @property
    def busy_for(self) -> float:
        """Seconds until the user counts as no longer typing; 0 if that is so now."""
        return max(0.0, self._guard.last_key_at + AFTER_TEXT - self.clock.now())

    @property
    def idle_for(self) -> float:
        """Seconds since the last key."""
        return self.clock.now() - self._guard.last_key_at

    def mouse_pressed(self) -> None:
        """The mouse may move the focus: what follows is not text of the old input."""
        self._guard.left()

    async def key(self, event: events.Key) -> None:
        event.key = MISREAD_KEYS.get(event.key, event.key)
        focused = self._app.focused
        typing = takes_text(focused)
        stroke = Stroke(event.key, event.character, self.clock.arrived(event), event)
        acts = not _only_shows(focused, event.key) if typing else self._acts(event.key)
        verdicts = self._guard.judge(stroke, typing=typing, acts=acts)
        await self._carry_out(verdicts)
        if self._guard.waiting:
            self._decisions += 1
            mine = self._decisions
            # It has waited since it came: what came after it is in the app's queue by then.
            waited = self.clock.now() - stroke.at
            delay = max(0.001, BURST_GAP - waited)
            self.clock.later(self._app, delay, lambda: self._rest(mine))

    def paste(self, event: events.Paste) -> events.Paste:
        """A paste in a form that the focused input takes without losing lines."""
        focused = self._app.focused
        lines = event.text.replace("\r\n", "\n").replace("\r", "\n")
        if _one_line(focused):
            # Textual keeps the first line only.
            lines = " ".join(lines.splitlines())
        if takes_text(focused):
            self._typed_in = focused
            self._guard.pasted(event.time)
        return event if lines == event.text else events.Paste(lines)

    async def _rest(self, decision: int) -> None:
        if decision == self._decisions:
            await self._carry_out(self._guard.rest())

    async def _carry_out(self, verdicts: list[tuple[Stroke, Verdict]]) -> None:
        ignored = joined = False
        for stroke, verdict in verdicts:
            focused = self._app.focused
            if verdict is Verdict.GO:
                if takes_text(focused):
                    self._typed_in = focused
                await self._deliver(stroke.event)
            elif verdict is Verdict.TEXT and focused is not None:
                self._typed_in = focused
                _type(focused, stroke)
                joined = joined or (stroke.key == "enter" and _one_line(focused))
            elif verdict is Verdict.BACK:
                ignored = not await self._return_key(stroke) or ignored
            elif verdict is Verdict.DROP:
                ignored = ignored or not takes_text(focused)
        if ignored:
            self._dropped.happened(verdicts[-1][0].at)
        if joined:
            self._joined.happened(verdicts[-1][0].at)

    async def _return_key(self, stroke: Stroke) -> bool:
        """Gives a key to the input that lost the focus; False if that is gone."""
        widget = self._typed_in
        if widget is None or not widget.is_attached or not widget.display:
            return False
        if widget.screen is self._app.screen:
            widget.focus()
        if stroke.printable:
            forward(widget, stroke.event)
        elif widget.screen is not self._app.screen:
            return False
        else:
            _type(widget, stroke)
        return True


def _type(widget: Widget, stroke: Stroke) -> None:
    """Types a line end or tab: literally in a text area, as a space in a single-line input."""
    if _one_line(widget):
        forward(widget, events.Key("space", " "))
    else:
        forward(widget, events.Paste("\t" if stroke.key == "tab" else "\n"))
