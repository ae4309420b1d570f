"""The inspector: everything about the selected turn, in tabs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from convtui.actions.registry import TABS as MOST_TABS
from convtui.actions.registry import Keymap
from convtui.tui.drawing.frames import entitle
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.drawing.strips import strip_of
from convtui.tui.widgets.fold_pane import FoldPane
from convtui.tui.widgets.inspector.context import DECIDING, TABS, Context
from convtui.tui.widgets.text_pane import Document

if TYPE_CHECKING:
    from convtui.log.detail import TurnDetail
    from convtui.transcript.fold import Turn

SHORT: Final = {"Request": "Req", "Output": "Out", "Decision": "Dec"}
"""Names of tabs where they save a line."""
_WAYS: Final[tuple[tuple[Mapping[str, str], str], ...]] = (({}, " "), (SHORT, " "), (SHORT, ""))
"""How names are shortened and what follows each: the first that needs the fewest lines is used."""


def tab_keys(keymap: Keymap) -> list[str]:
    """The keys of the tabs, in their order."""
    return [keymap.shown(f"inspector.tab_{number}") for number in range(1, MOST_TABS + 1)]


class TabBar(Widget):
    """The tabs with their keys, on as few lines as they need."""

    DEFAULT_CSS = """
    TabBar { height: auto; padding: 0; background: $background; color: $foreground; }
    """
    ALLOW_SELECT = False

    class Chosen(Message):
        def __init__(self, tab: str) -> None:
            super().__init__()
            self.tab = tab

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """`keys` are those of the tabs, in order; a tab without one has an empty text."""
        super().__init__()
        self.palette = Palette()
        self.keys = keys
        self.tabs: Sequence[str] = TABS
        self.active = TABS[0]
        self.filled: Collection[str] = ()

    def show(self, tabs: Sequence[str], *, active: str, filled: Collection[str]) -> None:
        """Shows which tab is open, and which have something to say; drawn only if that is new."""
        before = (self.tabs, self.active, self.filled)
        if before != (tabs, active, filled):
            self.tabs, self.active, self.filled = tabs, active, filled
            self.refresh(layout=tabs != before[0])

    def rows(self, width: int) -> list[list[tuple[str, str, str]]]:
        """The tabs by line, each with its key and what is drawn of it."""
        ways = [self._rows(width, names, end) for names, end in _WAYS]
        return min(ways, key=len)

    def _rows(
        self, width: int, names: Mapping[str, str], end: str
    ) -> list[list[tuple[str, str, str]]]:
        rows: list[list[tuple[str, str, str]]] = [[]]
        keys = [*self.keys, *[""] * len(self.tabs)]
        for tab, key in zip(self.tabs, keys, strict=False):
            label = f" {key} " if key else " "
            shown = (tab, key, f"{label}{names.get(tab, tab)}{end}")
            if rows[-1] and sum(map(_width, rows[-1])) + _width(shown) > width:
                rows.append([])
            rows[-1].append(shown)
        return rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.rows(max(1, width)))

    def render_line(self, y: int) -> Strip:
        """One row: the active tab in inverse, tabs without content muted."""
        width = self.size.width
        rows = self.rows(max(1, width))
        spans: list[Span] = []
        for tab, key, label in rows[y] if y < len(rows) else []:
            if tab == self.active:
                # The space before a name is that of the tab before it where there is no other.
                space = "" if label.endswith(" ") else " "
                spans += [(space, "text"), (label.removeprefix(space), "mark:accent")]
                continue
            filled = tab in self.filled
            spans.append((label[: 1 + len(key)], "accent" if filled else "muted"))
            spans.append((label[1 + len(key) :], "text" if filled else "muted"))
        base = self.rich_style
        return strip_of(spans, self.palette).apply_style(base).crop_extend(0, width, base)

    def on_click(self, event: events.Click) -> None:
        rows = self.rows(max(1, self.size.width))
        if event.y < len(rows):
            x = 0
            for shown in rows[event.y]:
                x += _width(shown)
                if event.x < x:
                    self.post_message(self.Chosen(shown[0]))
                    return


def _width(shown: tuple[str, str, str]) -> int:
    return cell_len(shown[2])


class Inspector(Vertical):
    """Shows a turn's stages, texts, requests and figures."""

    DEFAULT_CSS = """
    Inspector { background: $background; }
    Inspector TabBar { margin-bottom: 1; }
    Inspector TextPane { height: 1fr; }
    """

    class TabChanged(Message):
        def __init__(self, inspector: Inspector, tab: str) -> None:
            super().__init__()
            self.inspector = inspector
            self.tab = tab

        @property
        def control(self) -> Inspector:
            return self.inspector

    def __init__(
        self,
        *,
        empty_message: str = "Select a turn to inspect it.",
        keys: Sequence[str] = (),
        palette: Palette | None = None,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.empty_message = empty_message
        self._palette = palette
        self._bar = TabBar(keys)
        self._pane = FoldPane(palette=palette)
        self._tab = TABS[0]
        self._detail: TurnDetail | None = None
        self._turn: Turn | None = None
        self._tab_context = Context()
        self._shown: tuple[object, ...] = ()
        self._ready = False

    def compose(self) -> ComposeResult:
        yield self._bar
        yield self._pane

    def on_mount(self) -> None:
        """Uses the app's palette unless one was given."""
        if self._palette is None:
            palette = getattr(self.app, "palette", None)
            self._palette = palette if isinstance(palette, Palette) else Palette()
        self.palette = self._palette
        self._ready = True
        self._fill()

    @property
    def palette(self) -> Palette:
        return self._palette or Palette()

    @palette.setter
    def palette(self, palette: Palette) -> None:
        self._palette = palette
        self._bar.palette = palette
        self._pane.palette = palette
        self._bar.refresh()

    @property
    def pane(self) -> FoldPane:
        """The text pane, for focus and scrolling."""
        return self._pane

    @property
    def tabs(self) -> Sequence[str]:
        """The names of all tabs, one more if a responder decides."""
        return DECIDING if self._tab_context.deciding else TABS

    @property
    def tab(self) -> str:
        return self._tab

    @tab.setter
    def tab(self, tab: str) -> None:
        if tab in self.tabs and tab != self._tab:
            self._tab = tab
            self._fill()
            self.post_message(self.TabChanged(self, tab))

    def show_tab(self, number: int) -> None:
        """Shows a tab by number, from 1."""
        if 1 <= number <= len(self.tabs):
            self.tab = self.tabs[number - 1]

    def next_tab(self, direction: int = 1) -> None:
        tabs = self.tabs
        self.tab = tabs[(tabs.index(self._tab) + direction) % len(tabs)]

    def show(
        self, detail: TurnDetail | None, turn: Turn | None, context: Context | None = None
    ) -> None:
        """Shows a turn; `detail` is None while its records are being read."""
        self._detail, self._turn = detail, turn
        self._tab_context = context or Context()
        if self._tab not in self.tabs:
            self._tab = TABS[0]
        self._fill()

    def on_resize(self) -> None:
        """Refills, because the layout depends on the width."""
        if self._tab_context.width != self.size.width:
            self._fill()

    def copy_text(self) -> str:
        return str(self._pane.doc)

    def _fill(self) -> None:
        if not self._ready:
            return
        turn = self._turn
        self._tab_context.width = self.size.width
        title = f"turn {turn.session}:{turn.number} {turn.speaker}" if turn else "inspector"
        entitle(self, title)
        if turn is None:
            doc = Document().line((self.empty_message, "muted"))
        else:
            from convtui.tui.widgets.inspector.tabs import build

            doc = build(self._tab, self._detail, turn, self._tab_context)
        shown = (turn.session, turn.number, self._tab) if turn is not None else ()
        self._pane.show(doc, keep_place=shown == self._shown)
        self._shown = shown
        self._bar.show(self.tabs, active=self._tab, filled=self._filled())

    def _filled(self) -> list[str]:
        """The tabs that have something to show."""
        if self._detail is None:
            return []
        from convtui.tui.widgets.inspector.tabs import has_content

        return [tab for tab in self.tabs if has_content(tab, self._detail, self._tab_context)]

    def on_tab_bar_chosen(self, event: TabBar.Chosen) -> None:
        event.stop()
        self.tab = event.tab
