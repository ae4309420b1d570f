"""After a reload: the held or last turn as the old code made it, and as the new code makes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from convtui.analysis.rehook.preview import Asked, Made, Preview
from convtui.errors import ConvtuiError
from convtui.text.boundary import visible_line
from convtui.text.word_diff import word_diff
from convtui.tui.drawing.labels import error_lines
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.widgets.keybar import KeyBar, KeyItem
from convtui.tui.widgets.text_pane import Document, TextPane

WIDE = 100
"""Columns from which the texts stand beside each other."""
_NAMES = {
    "signals": "signals",
    "text": "the text",
    "discard": "the discard",
    "ending": "the ending",
    "error": "a hook fails now",
    "mended": "a hook had failed, none does now",
}

See = Callable[[], Awaitable[Preview]]
Ask = Callable[[], Awaitable[Asked]]
"""Both raise `ConvtuiError` with what went wrong."""


class ReloadedScreen(Screen[None]):
    """Shows one reply through the old hooks and the new ones; `a` asks the model again.

    `see` runs the recorded reply through the new code, `ask` gets another reply; neither touches
    the conversation. `place` says which turn it is.
    """

    DEFAULT_CSS = """
    ReloadedScreen { layout: vertical; }
    ReloadedScreen #reloaded-title { height: 1; width: 1fr; background: $panel; padding: 0 1; }
    ReloadedScreen #reloaded-said { height: auto; max-height: 4; width: 1fr; padding: 0 1;
                                    border-bottom: solid $border; }
    ReloadedScreen Horizontal { height: 1fr; }
    ReloadedScreen TextPane { width: 1fr; height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "ask", "ask the model again"),
        Binding("escape,enter,q", "back", "back"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
    ]

    def __init__(self, place: str, *, see: See, ask: Ask | None, palette: Palette) -> None:
        super().__init__()
        self._place = place
        self._see, self._ask = see, ask
        self._palette = palette
        self.preview: Preview | None = None
        self.asked: Asked | None = None
        self.problem = ""
        """Why there is nothing to see."""
        self.asking = False
        self.ask_problem = ""

    def compose(self) -> ComposeResult:
        """A title, what changed, the columns, the keys."""
        yield Static(id="reloaded-title", markup=False)
        yield Static(id="reloaded-said", markup=False)
        with Horizontal():
            for name in ("old", "new", "asked"):
                yield TextPane(id=f"reloaded-{name}", palette=self._palette)
        yield KeyBar()

    def on_mount(self) -> None:
        """Looks at the recorded reply."""
        self.query_one("#reloaded-title", Static).update(
            Content.assemble((" RELOADED ", "bold reverse $text-accent"), f" {self._place}")
        )
        # What is inside the columns is mounted after the screen.
        self.call_after_refresh(self._show)
        self.run_worker(self._look(), group="look")

    def on_resize(self) -> None:
        """Beside each other or below each other."""
        self.call_after_refresh(self._show)

    async def _look(self) -> None:
        try:
            self.preview = await self._see()
        except ConvtuiError as error:
            self.problem = str(error)
        if self.is_mounted:
            self._show()

    async def _get(self) -> None:
        assert self._ask is not None
        try:
            self.asked = await self._ask()
            self.ask_problem = ""
        except ConvtuiError as error:
            self.ask_problem = str(error)
        finally:
            self.asking = False
        if self.is_mounted:
            self._show()

    # --- keys

    def action_ask(self) -> None:
        """Asks the model again, with the new code."""
        if self._ask is not None and not self.asking:
            self.asking = True
            self._show()
            self.run_worker(self._get(), group="ask", exclusive=True)

    def action_back(self) -> None:
        """Back to the conversation."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """All columns together."""
        for pane in self.query(TextPane):
            pane.scroll_relative(y=lines, animate=False)

    def on_key_bar_chosen(self, event: KeyBar.Chosen) -> None:
        """The keys can be clicked."""
        self.action_ask() if event.action == "ask" else self.action_back()

    # --- drawing

    @property
    def said(self) -> str:
        """What changed, in a sentence."""
        preview = self.preview
        if self.problem:
            first = self.problem.split("\n", 1)[0]
            return f"The new code cannot be looked at: {visible_line(first, 300)}"
        if preview is None:
            return "The recorded reply goes through the new code ..."
        if preview.error is not None and not preview.changed:
            return "A hook fails as it did before."
        if not preview.changed:
            return "Nothing changed: the new code makes the same of this reply."
        return f"Changed: {', '.join(_NAMES[name] for name in preview.changed)}."

    def _show(self) -> None:
        changed = bool(self.problem or (self.preview is not None and self.preview.changed))
        said = Content(self.said).stylize("bold $text-warning" if changed else "bold")
        more = "No model was asked; the conversation stays as it is."
        if self.asking:
            more = "Asking the model again, with the new code ..."
        elif self.ask_problem:
            more = f"Asked again: {visible_line(self.ask_problem, 300)}"
        elif self.asked is not None:
            notes = "; ".join(visible_line(note, 200) for note in self.asked.notes)
            more = f"The model was asked again; the conversation stays as it is. {notes}"
        self.query_one("#reloaded-said", Static).update(
            Content.assemble(said, "\n", (more, "$text-muted"))
        )
        old, new, asked = self._docs()
        panes = [self.query_one(f"#reloaded-{name}", TextPane) for name in ("old", "new", "asked")]
        wide = self.app.size.width >= WIDE
        if not wide:
            whole = Document()
            for doc in (old, new, asked):
                if doc is not None:
                    whole.pieces += doc.pieces
                    whole.blank()
            old, new, asked = whole, None, None
        for pane, doc in zip(panes, (old, new, asked), strict=True):
            pane.display = doc is not None
            if doc is not None:
                pane.show(doc, keep_place=True)
        keys = [KeyItem("a", "ask the model again", "ask")] if self._ask is not None else []
        self.query_one(KeyBar).items = [*keys, KeyItem("esc", "back", "back")]

    def _docs(self) -> tuple[Document | None, Document | None, Document | None]:
        preview = self.preview
        if preview is None:
            doc = Document()
            for line in self.problem.split("\n")[1:]:
                doc.line((visible_line(line, 300), "text"))
            return doc, None, None
        marks = set(preview.changed)
        before, after = preview.before, preview.after
        same = _texts(before, after)
        old = Document().head("OLD", "as it was recorded")
        if before is None:
            old.line(("a hook failed", "error bold"))
        else:
            _made(old, before, marks, same[0])
        new = Document().head("NEW", "the same reply, the new code")
        if after is None:
            _failed(new, preview.error)
        else:
            _made(new, after, marks, same[1])
        _raw(new, preview.raw, after)
        asked: Document | None = None
        if self.asked is not None:
            asked = Document().head("ASKED AGAIN", "a new reply, the new code")
            made = self.asked.made
            _made(asked, made, set(), [(made.text, "text")] if made.text is not None else None)
            _raw(asked, self.asked.raw, made)
        return old, new, asked


def _texts(before: Made | None, after: Made | None) -> tuple[list[Span] | None, list[Span] | None]:
    """The shown texts as they differ from each other; None where there is none."""
    one = before.text if before is not None else None
    other = after.text if after is not None else None
    if one is None or other is None:
        return (
            None if one is None else [(one, "text")],
            None if other is None else [(other, "text")],
        )
    old: list[Span] = []
    new: list[Span] = []
    for op, text in word_diff(one, other):
        if op == "=":
            old.append((text, "text"))
            new.append((text, "text"))
        elif op == "-":
            old += [("[-", "error bold"), (text, "error under"), ("-]", "error bold")]
        else:
            new += [("{+", "ok bold"), (text, "ok under"), ("+}", "ok bold")]
    return old, new


def _made(doc: Document, made: Made, changed: set[str], text: Sequence[Span] | None) -> None:
    def line(name: str, value: str, kind: str) -> None:
        mark = "! " if kind in changed else "  "
        role = "warning bold" if kind in changed else "text"
        doc.line((value, role), label=[(mark, "warning bold"), (f"{name:<8} ", "muted")])

    not_yet = "(had not run)"
    line("signals", not_yet if made.signals is None else _signals(made.signals), "signals")
    discard = {None: not_yet, True: "dropped", False: "kept"}[made.discarded]
    line("discard", discard, "discard")
    ends = (made.ends or "goes on").replace("_", " ") if made.ends_known else not_yet
    line("ending", ends, "ending")
    line("text", not_yet if text is None else "", "text")
    if text is not None:
        doc.spans(text or [("(empty)", "muted")], indent=2)


def _signals(matches: Sequence[dict[str, Any]]) -> str:
    if not matches:
        return "none"
    return ", ".join(
        f"{visible_line(str(match.get('signal')), 60)} at {match.get('start')}-{match.get('end')}"
        for match in matches
    )


def _failed(doc: Document, error: dict[str, Any] | None) -> None:
    message, frames = error_lines(error)
    doc.line((message, "error bold"))
    for frame in frames:
        doc.line((frame, "text"), indent=2)


def _raw(doc: Document, raw: str, made: Made | None) -> None:
    doc.head("raw reply")
    marks = [
        (int(match.get("start") or 0), int(match.get("end") or 0), "mark:warning")
        for match in (made.signals if made is not None and made.signals else ())
    ]
    doc.text(raw, indent=2, marks=[mark for mark in marks if mark[0] < mark[1]])
