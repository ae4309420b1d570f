"""Compare: two runs or branches side by side, from their first divergence on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from convtui.actions.registry import Keymap
from convtui.analysis.compare.comparison import Comparison, compare_logs
from convtui.analysis.compare.report import Row, ending_rows, usage_rows
from convtui.errors import ConvtuiError
from convtui.text.boundary import visible_line
from convtui.tui.drawing.frames import has_frames, make_pane
from convtui.tui.drawing.tables import padded
from convtui.tui.drawing.wrap import Wrapped
from convtui.tui.screens.action_screen import ActionScreen
from convtui.tui.screens.compare.compare_view import CompareView, Diff
from convtui.tui.screens.handlers import Handler
from convtui.tui.textual_compat import is_open
from convtui.tui.widgets.keybar import KeyBar
from convtui.tui.widgets.notice_line import NoticeLine

SLICE = 0.1
"""Seconds that a thread makes word diffs before the screen takes them."""
_ROOMY = 30
"""Lines from which everything that was used is told."""
_TELLING = ("turns said", "mean latency", "provider tokens", "provider cost")
"""What is told of what was used where there is little room."""
_LEAST = ("turns said", "provider tokens")
"""And where there is next to none."""
_TINY = 20
"""Lines below which that is so."""
_LABEL = 18


class CompareScreen(ActionScreen):
    """Two columns aligned turn by turn; endings and usage below."""

    KEY_CONTEXTS = ("compare",)
    AUTO_FOCUS = "CompareView"
    DEFAULT_CSS = """
    CompareScreen { layout: vertical; }
    CompareScreen #compare-title, CompareScreen #compare-kin {
        height: auto; max-height: 2; width: 1fr; padding: 0 1; }
    CompareScreen #compare-kin { color: $text-muted; }
    CompareScreen #compare-kin.-problem { color: $text-error; max-height: 8; }
    CompareScreen.-tiny #compare-title { max-height: 1; }
    CompareScreen.-tiny #compare-kin { display: none; }
    CompareScreen.-tiny #compare-kin.-problem { display: block; max-height: 3; }
    CompareScreen CompareView { height: 1fr; }
    CompareScreen #compare-end { height: auto; max-height: 50%; width: 1fr; }
    """

    def __init__(self, keymap: Keymap, path_a: Path, path_b: Path) -> None:
        super().__init__(keymap)
        self._paths = (path_a, path_b)
        self.comparison: Comparison | None = None
        """None while the two are being read."""
        self.problem = ""
        """Why they cannot be compared."""

    def compose(self) -> ComposeResult:
        """A title, what they share, the pairs, how they ended."""
        yield Static(id="compare-title", markup=False)
        yield Static(id="compare-kin", markup=False)
        view, end = CompareView(), Static(id="compare-end", markup=False)
        make_pane(view, "turns side by side", "-list")
        make_pane(end, "how they ended and what they used", "-below")
        yield view
        yield end
        yield NoticeLine()
        yield KeyBar()

    @property
    def view(self) -> CompareView:
        """The pairs."""
        return self.query_one(CompareView)

    def on_mount(self) -> None:
        """Reads both logs in a thread."""
        self._show()
        self.spawn(self._load())
        self.refresh_footer()

    async def _load(self) -> None:
        try:
            found = await asyncio.to_thread(compare_logs, *self._paths)
        except (ConvtuiError, OSError) as error:
            self.problem = str(error)
            self._show()
            return
        if not is_open(self):
            return
        self.comparison = found
        self.view.show(found)
        self._show()
        await self._make_diffs()

    async def _make_diffs(self) -> None:
        """Makes the word diffs in a thread, those from the first divergence on first."""
        view = self.view
        start = max(0, view.first)
        order = [*range(start, len(view.items)), *range(start)]
        wanted = [index for index in order if _has_diff(view, index)]
        position = 0

        def some(first: int) -> dict[int, Diff]:
            until = time.monotonic() + SLICE
            made: dict[int, Diff] = {}
            for index in wanted[first:]:
                pair = view.items[index].pair
                assert pair is not None
                made[index] = pair.diff()
                if time.monotonic() > until:
                    break
            return made

        while position < len(wanted) and is_open(self):
            made = await asyncio.to_thread(some, position)
            position += len(made)
            if is_open(self):
                view.take_diffs(made)

    # --- drawing

    def _show(self) -> None:
        """Brings title and endings up to date."""
        self.query_one("#compare-title", Static).update(self._title())
        kin = self.query_one("#compare-kin", Static)
        words = self.comparison.kin_words() if self.comparison is not None else ""
        kin.display = bool(words or self.problem)
        self.set_class(self.app.size.height < _TINY, "-tiny")
        kin.update(Content(visible_line(self.problem or words, 400)))
        kin.set_class(bool(self.problem), "-problem")
        below = self.query_one("#compare-end", Static)
        below.display = self.comparison is not None
        if self.comparison is not None:
            below.update(self._below(self.comparison))

    def _title(self) -> Content:
        said, more = self._said()
        logs = [path.name.removesuffix(".jsonl") for path in self._paths]
        width = max(20, self.app.size.width - 2)
        return title(logs, said, more, width, short=self.app.size.height < _TINY)

    def _said(self) -> tuple[tuple[str, str], str]:
        """How far it has come or which difference is selected, with its colour; and the first."""
        if self.problem:
            return ("cannot be compared", "$text-error"), ""
        if self.comparison is None:
            return ("both are being read", "$text-muted"), ""
        if self.comparison.same:
            return ("no difference", "$text-success"), ""
        at, count = self.view.difference_number()
        said = f"difference {at or '-'} of {count}"
        return (said, "$text-warning"), f", the first: {self.comparison.first_words()}"

    def _below(self, comparison: Comparison) -> Content:
        width = max(20, self.app.size.width - (4 if has_frames(self.app.size) else 2))
        roomy = self.app.size.height >= _ROOMY
        rows = [row for row in ending_rows(comparison) if roomy or row[1] != row[2]]
        rows = rows or ending_rows(comparison)[-1:]
        used = usage_rows(comparison)
        if not roomy:
            telling = _LEAST if self.app.size.height < _TINY else _TELLING
            used = [row for row in used if row[0] in telling]
        wide = width >= 90
        lines: list[str] = []
        if wide:
            lines = [line for row in (*rows[-4:], *used) for line in _two_columns(row, width)]
        if not wide:
            for name, one, other in rows[-2:]:
                if one == other:
                    lines.append(_cut(f"{name}: {one}", width))
                else:
                    lines += [_cut(f"{name} A: {one}", width), _cut(f"{name} B: {other}", width)]
            lines += _packed([f"{name} {one} | {other}" for name, one, other in used], width)
        below = Content("\n".join(lines))
        start = 0
        for line in lines if wide else ():
            below = below.stylize("$text-muted", start, start + _LABEL)
            start += len(line) + 1
        return below

    def on_cursor_view_selected(self) -> None:
        """Another pair is selected: which difference it is."""
        if self.comparison is not None:
            self._show()

    def on_resize(self, event: events.Resize) -> None:
        """More or less room."""
        self._show()

    def restyle(self) -> None:
        """Another theme."""
        self.view.palette = self.capp.palette
        self._show()

    # --- keys

    def footer_ids(self) -> Sequence[str]:
        """What can be done here."""
        return (
            "compare.next",
            "compare.previous",
            "compare.open_a",
            "compare.open_b",
            "app.quit",
            "app.help",
        )

    def handlers(self) -> Iterable[Handler]:
        """Moving, and opening either side."""
        yield Handler("compare.next", self._next_difference)
        yield Handler("compare.previous", self._previous_difference)
        yield Handler("compare.open_a", partial(self._open, 0))
        yield Handler("compare.open_b", partial(self._open, 1))
        yield Handler("move.up", partial(self._move, -1))
        yield Handler("move.down", partial(self._move, 1))
        yield Handler("move.first", lambda: self.view.go_to(0))
        yield Handler("move.last", lambda: self.view.go_to(len(self.view.items) - 1))

    def _next_difference(self) -> None:
        if not self.view.next_difference(1):
            self.tell(self._no_more("No further difference."))

    def _previous_difference(self) -> None:
        if not self.view.next_difference(-1):
            self.tell(self._no_more("No earlier difference."))

    def _no_more(self, words: str) -> str:
        """`words`; where nothing differs, that, and what to do."""
        if self.view.difference_number()[1]:
            return words
        return f"A and B do not differ. {self.keymap.shown('app.quit')} goes back."

    def _open(self, side: int) -> None:
        item = self.view.selected
        pair = item.pair if item is not None else None
        turn = (pair.b if side else pair.a) if pair is not None else None
        at = (turn.session, turn.number) if turn is not None else None
        self.capp.runs.replay(self._paths[side], at=at)

    def _move(self, by: int) -> None:
        self.view.go_to(self.view.cursor + by)

    def quit(self) -> None:
        """Back."""
        self.capp.runs.leave(self)


def title(
    logs: Sequence[str], said: tuple[str, str], more: str, width: int, *, short: bool
) -> Content:
    """The names of A and B, what is `said` of them with its style, and `more`, if there is room.

    In one line or two; where it has to be `short`, in one without `more`.
    """
    room = width - len("A   B ") - (cell_len(said[0]) + 2 if short else 0)
    # What a short name does not need is the other's.
    spare = max(0, room // 2 - min(map(cell_len, logs)))
    names = [visible_line(name, max(4, room // 2 + spare)) for name in logs]
    both: list[tuple[str, str]] = [
        ("A ", "bold $text-accent"),
        (names[0], "bold"),
        ("  B ", "bold $text-accent"),
        (names[1], "bold"),
    ]
    if short:
        return Content.assemble(said, "  ", *both)
    used = sum(cell_len(text) for text, _ in (*both, said, (more, "")))
    between = "  " if used + 2 <= width else "\n"
    left = max(1, width - cell_len(said[0]))
    return Content.assemble(
        *both, between, said, (visible_line(more, left) if more else "", "$text-muted")
    )


def _has_diff(view: CompareView, index: int) -> bool:
    pair = view.items[index].pair
    return pair is not None and pair.a is not None and pair.b is not None and bool(pair.differences)


def _cut(text: str, width: int) -> str:
    return visible_line(text, width)


def _two_columns(row: Row, width: int) -> list[str]:
    """A label and two values, which fold to the lines below where they are long."""
    column = (width - _LABEL - 3) // 2
    one, other = (Wrapped(visible_line(value, 400), column).lines() for value in row[1:])
    label = [visible_line(row[0], _LABEL - 1)]
    return [
        f"{padded(name, _LABEL)}{padded(left, column)} │ {right}"
        for name, left, right in zip_longest(label, one, other, fillvalue="")
    ]


def _packed(parts: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for part in (visible_line(part, width) for part in parts):
        if lines and cell_len(lines[-1]) + 3 + cell_len(part) <= width:
            lines[-1] += f" · {part}"
        else:
            lines.append(part)
    return lines
