"""How the debugger's panes share the screen: one of them maximised, the inspector's width."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from convtui.tui.screens.debugger.columns import NARROW, share_columns
from convtui.tui.screens.handlers import Handler

if TYPE_CHECKING:
    from convtui.tui.screens.debugger.context import DebuggerContext
    from convtui.tui.screens.debugger.widgets import DebuggerWidgets
    from convtui.tui.widgets.maximise import Maximise

STEP = 5
"""Percent of the width that a key adds or takes."""
WIDTHS = (25, 75)
_WIDTH = "inspector_width"


def _percent_in(state: Mapping[str, Any]) -> int:
    """The inspector's width in what is remembered; 0 for none."""
    percent = state.get(_WIDTH)
    return percent if isinstance(percent, int) and WIDTHS[0] <= percent <= WIDTHS[1] else 0


class PaneHost(Protocol):
    """What the layout needs of the debugger's screen."""

    @property
    def narrow(self) -> bool:
        """Whether there is room for one pane only."""

    @property
    def inspecting(self) -> bool:
        """Whether the inspector is visible."""

    def show_inspector(self, shown: bool) -> None:
        """Opens or closes the inspector."""

    def lay_out(self) -> None:
        """Shares the width between the columns."""


class Layout:
    """Maximises the transcript or the inspector, and makes the inspector narrower or wider."""

    def __init__(
        self,
        context: DebuggerContext,
        screen: PaneHost,
        widgets: DebuggerWidgets,
        maximised: Maximise,
        *,
        known: Mapping[str, Any],
        recall: Callable[[], Awaitable[dict[str, Any]]],
        remember: Callable[..., Awaitable[None]],
    ) -> None:
        """`known` is what the program remembered; `recall` and `remember` read and write it."""
        self._context = context
        self._screen = screen
        self._outline, self._inspector = widgets.outline, widgets.inspector
        self._view = widgets.view
        self._maximised = maximised
        self._recall, self._remember = recall, remember
        self._chosen = False
        """Whether the width was chosen here."""
        self._percent = _percent_in(known)
        """The inspector's width that was chosen; 0 for none."""

    def handlers(self) -> Iterator[Handler]:
        yield Handler("view.maximise", self._maximise, self._has_turns, self._label)
        yield Handler("view.narrower", partial(self._resize, -STEP), self._resizes)
        yield Handler("view.wider", partial(self._resize, STEP), self._resizes)

    def _has_turns(self) -> bool:
        return self._context.conversation.has_turns

    def share(self, width: int, *, inspector: bool) -> None:
        """Gives each pane its columns, by what it has to say."""
        columns = share_columns(
            width,
            outline=self._outline.has_more_than_turns,
            inspector=inspector,
            wished=self._wished(width),
        )
        alone = width < NARROW or self._maximised.pane is not None
        self._outline.display = not alone and columns.outline > 0
        self._outline.styles.width = columns.outline
        self._inspector.styles.width = "1fr" if alone else columns.inspector

    # --- one pane on the whole screen

    @property
    def shows_inspector(self) -> bool | None:
        """Whether the maximised pane is the inspector; None if none is maximised."""
        pane = self._maximised.pane
        return None if pane is None else pane is self._inspector

    def _label(self) -> str | None:
        if self._screen.narrow:
            return "transcript" if self._screen.inspecting else "inspector"
        return self._maximised.label()

    def _maximise(self) -> None:
        if self._screen.narrow:
            self._screen.show_inspector(not self._screen.inspecting)
        elif not self.restore():
            inside = self._inspector.has_focus_within
            self._maximised.show(self._inspector if inside else self._view)
            self._screen.lay_out()

    def restore(self) -> bool:
        """Shows all panes again; whether one was maximised."""
        was = self._maximised.restore()
        self._screen.lay_out()
        return was

    def inspector_shown(self, shown: bool) -> None:
        """Shows all panes again if the maximised one is not what was asked for."""
        if self.shows_inspector is (not shown):
            self.restore()

    def resized(self) -> None:
        """Gives up a layout for which the screen is too narrow now."""
        if self._screen.narrow:
            self.restore()

    # --- the inspector's width

    def _resizes(self) -> bool:
        return self._screen.inspecting and not self._screen.narrow and not self._maximised.pane

    def _resize(self, by: int) -> None:
        if not self._resizes():
            return
        whole = max(1, self._inspector.screen.size.width)
        now = self._percent or round(100 * self._inspector.outer_size.width / whole)
        self._chosen = True
        self._percent = max(WIDTHS[0], min(WIDTHS[1], now + by))
        self._screen.lay_out()
        self._context.spawn(self._keep(self._percent))

    def _wished(self, width: int) -> int | None:
        """The inspector's columns on a screen of `width`; None if none were chosen."""
        return round(width * self._percent / 100) if self._percent else None

    async def _keep(self, percent: int) -> None:
        if percent == self._percent:
            await self._remember(**{_WIDTH: percent})

    async def load(self) -> None:
        """Gives the inspector the width that it had last time."""
        percent = _percent_in(await self._recall())
        if percent and not self._chosen:
            self._percent = percent
            if self._context.mounted():
                self._screen.lay_out()
