"""The screen of a batch: what is known of all, and a row for each conversation."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from convtui.actions.registry import Keymap
from convtui.tui.drawing.frames import ONLY, PANE, entitle
from convtui.tui.drawing.labels import short_path
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.fleet.control import FleetControl
from convtui.tui.screens.fleet.feed import FleetFeed
from convtui.tui.screens.fleet.filter import FleetFilter
from convtui.tui.screens.fleet.fleet_list import FleetList
from convtui.tui.screens.fleet.leaving import FleetLeaving
from convtui.tui.screens.fleet.new_holds import NewHolds
from convtui.tui.screens.fleet.opening import FleetOpening
from convtui.tui.screens.fleet.order import FleetOrder
from convtui.tui.screens.fleet.results import FleetResults, ReadResults
from convtui.tui.screens.fleet.sorting import FleetSorting
from convtui.tui.screens.fleet.summary import FleetSummary, summary_lines
from convtui.tui.screens.fleet.tally import Tally
from convtui.tui.screens.fleet.view import Fleet
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.screen_context import ScreenContext
from convtui.tui.textual_compat import is_open
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.maximise import Maximise
from convtui.tui.widgets.notice_line import NoticeLine
from convtui.tui.widgets.run_list import ColumnHeader
from convtui.tui.widgets.text_pane import TextPane

WIDE = 160
"""Columns from which the results are beside the conversations."""
_LINES = ((30, 4), (26, 3), (20, 2), (0, 1))
"""From how many lines of the terminal on the summary has how many."""
_FOOTER = (
    "fleet.open",
    "fleet.pause",
    "search.open",
    "fleet.next",
    "fleet.break",
    "fleet.sort",
    "fleet.end",
    "fleet.reload",
    "fleet.results",
    "fleet.attempts",
    "fleet.report",
    "profile.open",
    "rehook.open",
    "fleet.end_all",
    "app.quit",
    "app.help",
)


class FleetScreen(ActionScreen):
    """A batch that runs here or elsewhere, or is over."""

    KEY_CONTEXTS = ("fleet",)
    AUTO_FOCUS = "FleetList"
    DEFAULT_CSS = """
    FleetScreen { layout: vertical; }
    FleetScreen #fleet-summary { height: auto; }
    FleetScreen Input, FleetScreen Input:focus {
        height: 1; border: none; border-left: outer $field-edge; padding: 0 1 0 0;
        background: $surface; display: none;
    }
    FleetScreen Input:focus { border-left: outer $accent; background: $panel; }
    FleetScreen.-filtered Input { display: block; }
    FleetScreen #fleet-error { height: auto; max-height: 6; padding: 0 1; color: $text-error;
                               background: $surface; display: none; }
    FleetScreen #fleet-body { layout: vertical; height: 1fr; }
    FleetScreen #fleet-list, FleetScreen #fleet-results { width: 1fr; height: 1fr; }
    FleetScreen #fleet-results { display: none; }
    FleetScreen.-results #fleet-results { display: block; }
    FleetScreen #fleet-empty { height: auto; padding: 0 2; color: $text-muted; display: none; }
    FleetScreen.-wide #fleet-body { layout: horizontal; }
    FleetScreen.-low.-results #fleet-list { display: none; }
    """

    def __init__(self, keymap: Keymap, fleet: Fleet, *, results: ReadResults | None = None) -> None:
        """`results` reads what the conversations that are over say together. Blocking."""
        super().__init__(keymap)
        self.fleet = fleet
        self._was_over: bool | None = None
        """Whether the batch was over when it was last drawn; None before anything is known."""
        self._entitled: tuple[str, Path] | None = None
        context = ScreenContext.of(self)
        self._order = FleetOrder(fleet.rows)
        self._tally = Tally(fleet.rows, time.time())
        self.listed = FleetList(fleet.rows, self._order)
        self._header = ColumnHeader(self.listed)
        self._summary = FleetSummary(id="fleet-summary", classes=PANE)
        self._frame = Vertical(id="fleet-list", classes=f"{PANE} -list -below")
        self._empty = Static(id="fleet-empty", markup=False)
        self._error = Static(id="fleet-error", markup=False)
        self._box = Input(placeholder="filter: words, or an expression such as ~signal & ~turn > 3")
        self._pane = TextPane(id="fleet-results", classes=f"{PANE} -below")
        self.maximised = Maximise(self, ("#fleet-list", "#fleet-results"))
        self._feed = FleetFeed(
            fleet,
            self.listed,
            self._order,
            self._tally,
            repaint=self._repaint,
            changed=self._rows_changed,
        )
        self._filter = FleetFilter(
            context, fleet, self._order, box=self._box, error=self._error, show=self._show_rows
        )
        self._leaving = FleetLeaving(
            context, fleet, self._tally, leave=self._leave, repaint=self._repaint
        )
        self._control = FleetControl(
            context, fleet, self.listed, end_all=self._leaving.end_all, repaint=self._repaint
        )
        self._opening = FleetOpening(
            context,
            fleet,
            self.listed,
            enter_label=self._enter_label,
            replay=self._replay,
            rehook=self._rehook,
        )
        self._holds = NewHolds(fleet, self._call_for_attention)
        self._sorting = FleetSorting(context, self.listed, self._order)
        self._results = FleetResults(context, fleet, self._pane, results, shown=self._show_results)

    def compose(self) -> ComposeResult:
        yield self._summary
        yield self._box
        yield self._error
        with Container(id="fleet-body"):
            with self._frame:
                yield self._empty
                yield self._header
                yield self.listed
            yield self._pane
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self._resized(self.app.size.width)
        self._feed.start(self)
        self.call_after_refresh(self.fleet.start)

    def on_unmount(self) -> None:
        self._feed.close()
        self._filter.close()
        self._results.close()
        self.fleet.close()

    def on_resize(self, event: events.Resize) -> None:
        self._resized(event.size.width)
        self._repaint()
        self._results.draw()

    def _resized(self, width: int) -> None:
        self.set_class(width >= WIDE, "-wide")
        self.set_class(width < WIDE and self.app.size.height < _LINES[0][0], "-low")
        self._focus_what_is_there()

    # --- what is shown

    def _rows_changed(self, rows: Sequence[int]) -> None:
        self._holds.take(rows)
        self._filter.changed(rows)
        self._results.changed()

    def _call_for_attention(self, hold: Mapping[str, Any]) -> None:
        self.capp.attention.held(hold)

    def _show_rows(self) -> None:
        """Shows the rows as they are ordered and narrowed now."""
        if is_open(self):
            self.listed.reorder()
            self._repaint()

    def _repaint(self) -> None:
        """Draws what stands around the list."""
        if not is_open(self):
            return
        self._see_whether_it_is_over()
        width, height = self.app.size.width, self.app.size.height
        most = next(lines for low, lines in _LINES if height >= low)
        self._summary.show(
            summary_lines(
                self._tally,
                self.fleet.standing(),
                time.time(),
                width=self._summary.room or width - 4,
                most=most,
                over=self.fleet.over,
            )
        )
        if self._entitled != (self.fleet.name, self.fleet.folder):
            self._entitled = self.fleet.name, self.fleet.folder
            entitle(self._summary, self.fleet.name or "batch", short_path(self.fleet.folder))
        shown = len(self._order.shown)
        count = f"{shown:,} of {len(self.fleet.rows):,}" if self._filter.text else ""
        title = Content.assemble(
            "conversations  ",
            (count or f"{self._tally.total:,}", "$text-accent"),
            "  reading the logs ..." if self._filter.partly else "",
        )
        if title != self._frame.border_title:
            self._frame.border_title = title
        self._say_nothing(not shown)
        self._header.refresh()
        self.refresh_footer()

    def _see_whether_it_is_over(self) -> None:
        """Shows the results of a batch that is over at first, and tells of those of another."""
        before, self._was_over = self._was_over, self.fleet.over
        if self.fleet.standing().starting:
            self._was_over = None
        elif before is None and self._was_over and self.app.size.height >= _LINES[0][0]:
            # After the rows.
            self.call_after_refresh(self._results.toggle)
        elif before is False and self._was_over:
            key = self.keymap.shown("fleet.results")
            self.tell(f"The batch is over: {key} shows its results.")

    def _say_nothing(self, empty: bool) -> None:
        if not empty and not self._empty.display:
            return
        self._empty.display = empty
        self.listed.display = self._header.display = not empty
        if not empty and self.focused is None:
            # It was hidden, and has lost the focus.
            self.listed.focus()
        self._empty.update(
            f"No conversation matches this filter{'' if self.fleet.over else ' so far'}."
            " Escape clears it."
            if self._filter.text
            else "Reading the plan ..."
            if self.fleet.standing().starting
            else "This batch has no conversations."
        )

    def _show_results(self, shown: bool) -> None:
        self.maximised.restore()
        self.set_class(shown, "-results")
        self._focus_what_is_there()

    def _focus_what_is_there(self) -> None:
        """A low screen has room for the results alone."""
        alone = self._results.shown and self.has_class("-low")
        self._pane.set_class(alone, ONLY)
        if alone:
            self._pane.focus()
        elif not self._results.shown or self.focused is None:
            self.listed.focus()

    def on_column_header_sorted(self, event: ColumnHeader.Sorted) -> None:
        event.stop()
        self._sorting.sort(event.order)
        self._header.refresh()

    def on_fleet_list_chosen(self) -> None:
        self._opening.open()

    def on_fleet_list_highlighted(self) -> None:
        self.refresh_footer()

    # --- the filter

    def on_input_changed(self) -> None:
        self._filter.text_changed()

    def on_input_submitted(self) -> None:
        self._filter.apply()
        self.listed.focus()
        self.set_class(bool(self._filter.text), "-filtered")

    def _open_filter(self) -> None:
        self.add_class("-filtered")
        self._box.focus()

    def _enter_label(self) -> str | None:
        # In the filter Enter goes to the list.
        return "to the list" if self._box.has_focus else None

    # --- keys

    def handlers(self) -> Iterator[Handler]:
        yield from self._opening.handlers()
        yield from self._control.handlers()
        yield from self._sorting.handlers()
        yield from self._results.handlers()
        yield Handler("search.open", self._open_filter)
        yield Handler("fleet.next_pane", self._next_pane, self._has_panes)
        yield Handler("view.maximise", self.maximised.toggle, label=self.maximised.label)
        yield Handler("move.up", lambda: self._move(-1))
        yield Handler("move.down", lambda: self._move(1))
        yield Handler("move.first", lambda: self._go(first=True))
        yield Handler("move.last", lambda: self._go(first=False))

    def footer_ids(self) -> Sequence[str]:
        return _FOOTER

    def enabled(self, action_id: str) -> bool:
        """Whether an action applies now; all do before the screen is mounted."""
        return not is_open(self) or super().enabled(action_id)

    def on_descendant_focus(self) -> None:
        self.refresh_footer()

    def _has_panes(self) -> bool:
        return self._results.shown and not self.has_class("-low")

    def _next_pane(self) -> None:
        (self.listed if self._pane.has_focus else self._pane).focus()

    def _move(self, by: int) -> None:
        if self._pane.has_focus:
            self._pane.scroll_lines(by)
        else:
            self.listed.move(by)

    def _go(self, *, first: bool) -> None:
        if self._pane.has_focus:
            (self._pane.scroll_home if first else self._pane.scroll_end)(animate=False)
        else:
            self.listed.go_to(0 if first else len(self.listed.shown) - 1)

    def _replay(self, log: Path) -> None:
        self.capp.runs.replay(log)

    async def _rehook(self, logs: Sequence[Path], provider: str) -> None:
        from convtui.tui.screens.rehook.screen import open_rehook

        await open_rehook(self.capp, logs, provider)

    # --- leaving

    @property
    def quit_does(self) -> str:  # type: ignore[override]
        return self._leaving.does

    def quit(self) -> Awaitable[None] | None:
        return self._leaving.leave()

    def back(self) -> Awaitable[None] | None:
        """Clears and leaves the filter, then the results, then the screen."""
        if self.maximised.restore():
            return None
        if self._box.value or self._box.has_focus:
            self._box.value = ""
            self._filter.apply()
            self.remove_class("-filtered")
            self.listed.focus()
            return None
        if self._results.shown and self.has_class("-low"):
            self._results.toggle()
            return None
        if self._leaving.stays():
            return None
        return super().back()

    def _leave(self) -> None:
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        else:
            self.app.exit(0)

    def restyle(self) -> None:
        """Draws with the colours of another theme."""
        self._summary.refresh()
        self._header.refresh()
