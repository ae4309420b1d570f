"""After a reload: one turn as the old code and as the new code process it."""

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
from convtui.tui.drawing.word_diff import changed_spans
from convtui.tui.textual_compat import is_open, run_while_open
from convtui.tui.widgets.keybar import KeyBar, KeyItem
from convtui.tui.widgets.text_pane import Document, TextPane

WIDE = 100
"""Columns from which the texts are shown side by side."""
_NAMES = {
    "signals": "signals",
    "text": "the text",
    "discard": "the discard",
    "ending": "the ending",
    "error": "a hook now fails",
    "mended": "a hook failed before, none does now",
}

RunPreview = Callable[[], Awaitable[Preview]]
AskAgain = Callable[[], Awaitable[Asked]]
"""Both raise `ConvtuiError`."""


class ReloadDiff(Screen[None]):
    """One reply through the old hooks and the new ones; `a` asks the model again.

    `run_preview` runs the recorded reply through the new code, `ask_again` gets another reply;
    neither changes the conversation.
    """

    DEFAULT_CSS = """
    ReloadDiff { layout: vertical; }
    ReloadDiff #reloaded-title { height: 1; width: 1fr; background: $panel; padding: 0 1; }
    ReloadDiff #reloaded-summary { height: auto; max-height: 4; width: 1fr; padding: 0 1;
                                    border-bottom: solid $border; }
    ReloadDiff Horizontal { height: 1fr; }
    ReloadDiff TextPane { width: 1fr; height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "ask", "ask the model again"),
        Binding("escape,enter,q", "back", "back"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
    ]

    def __init__(
        self,
        title: str,
        *,
        run_preview: RunPreview,
        ask_again: AskAgain | None,
        palette: Palette,
    ) -> None:
        super().__init__()
        self._title = title
        self._run_preview, self._ask_again = run_preview, ask_again
        self._palette = palette
        self.preview: Preview | None = None
        self.new_reply: Asked | None = None
        self.problem = ""
        """Why there is no preview."""
        self.asking = False
        self.ask_problem = ""

    def compose(self) -> ComposeResult:
        yield Static(id="reloaded-title", markup=False)
        yield Static(id="reloaded-summary", markup=False)
        with Horizontal():
            for name in ("old", "new", "asked"):
                yield TextPane(id=f"reloaded-{name}", palette=self._palette)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#reloaded-title", Static).update(
            Content.assemble((" RELOADED ", "bold reverse $text-accent"), f" {self._title}")
        )
        # The columns' content is mounted after the screen.
        self.call_after_refresh(self._show)
        run_while_open(self, self._load_preview(), group="preview")

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    async def _load_preview(self) -> None:
        try:
            self.preview = await self._run_preview()
        except ConvtuiError as error:
            self.problem = str(error)
        if is_open(self):
            self._show()

    async def _load_reply(self) -> None:
        assert self._ask_again is not None
        try:
            self.new_reply = await self._ask_again()
            self.ask_problem = ""
        except ConvtuiError as error:
            self.ask_problem = str(error)
        finally:
            self.asking = False
        if is_open(self):
            self._show()

    # --- keys

    def action_ask(self) -> None:
        if self._ask_again is not None and not self.asking:
            self.asking = True
            self._show()
            run_while_open(self, self._load_reply(), group="ask", exclusive=True)

    def action_back(self) -> None:
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Scrolls all columns together."""
        for pane in self.query(TextPane):
            pane.scroll_relative(y=lines, animate=False)

    def on_key_bar_chosen(self, event: KeyBar.Chosen) -> None:
        self.action_ask() if event.action == "ask" else self.action_back()

    # --- drawing

    @property
    def summary(self) -> str:
        """What changed, as a sentence."""
        preview = self.preview
        if self.problem:
            first = self.problem.split("\n", 1)[0]
            return f"The new code cannot be tried: {visible_line(first, 300)}"
        if preview is None:
            return "Running the recorded reply through the new code ..."
        if preview.error is not None and not preview.changed:
            return "A hook fails as it did before."
        if not preview.changed:
            return "Nothing changed: the new code treats this reply the same."
        return f"Changed: {', '.join(_NAMES[name] for name in preview.changed)}."

    def _show(self) -> None:
        changed = bool(self.problem or (self.preview is not None and self.preview.changed))
        summary = Content(self.summary).stylize("bold $text-warning" if changed else "bold")
        more = "No model was called; the conversation is unchanged."
        if self.asking:
            more = "Asking the model again, with the new code ..."
        elif self.ask_problem:
            more = f"Asking again failed: {visible_line(self.ask_problem, 300)}"
        elif self.new_reply is not None:
            notes = "; ".join(visible_line(note, 200) for note in self.new_reply.notes)
            more = f"The model was asked again; the conversation is unchanged. {notes}"
        self.query_one("#reloaded-summary", Static).update(
            Content.assemble(summary, "\n", (more, "$text-muted"))
        )
        old, new, reply = self._documents()
        panes = [self.query_one(f"#reloaded-{name}", TextPane) for name in ("old", "new", "asked")]
        wide = self.app.size.width >= WIDE
        if not wide:
            whole = Document()
            for doc in (old, new, reply):
                if doc is not None:
                    whole.pieces += doc.pieces
                    whole.blank()
            old, new, reply = whole, None, None
        for pane, doc in zip(panes, (old, new, reply), strict=True):
            pane.display = doc is not None
            if doc is not None:
                pane.show(doc, keep_place=True)
        keys = [KeyItem("a", "ask the model again", "ask")] if self._ask_again is not None else []
        self.query_one(KeyBar).items = [*keys, KeyItem("esc", "back", "back")]

    def _documents(self) -> tuple[Document | None, Document | None, Document | None]:
        preview = self.preview
        if preview is None:
            doc = Document()
            for line in self.problem.split("\n")[1:]:
                doc.line((visible_line(line, 300), "text"))
            return doc, None, None
        marks = set(preview.changed)
        before, after = preview.before, preview.after
        texts = _diff_texts(before, after)
        old = Document().head("OLD", "as recorded")
        if before is None:
            old.line(("a hook failed", "error bold"))
        else:
            _add_result(old, before, marks, texts[0])
        new = Document().head("NEW", "same reply, new code")
        if after is None:
            _add_error(new, preview.error)
        else:
            _add_result(new, after, marks, texts[1])
        _add_raw(new, preview.raw, after)
        reply: Document | None = None
        if self.new_reply is not None:
            reply = Document().head("ASKED AGAIN", "new reply, new code")
            made = self.new_reply.made
            _add_result(
                reply, made, set(), [(made.text, "text")] if made.text is not None else None
            )
            _add_raw(reply, self.new_reply.raw, made)
        return old, new, reply


def _diff_texts(
    before: Made | None, after: Made | None
) -> tuple[list[Span] | None, list[Span] | None]:
    """The shown texts with their differences marked; None where there is no text."""
    before_text = before.text if before is not None else None
    after_text = after.text if after is not None else None
    if before_text is None or after_text is None:
        return (
            None if before_text is None else [(before_text, "text")],
            None if after_text is None else [(after_text, "text")],
        )
    old: list[Span] = []
    new: list[Span] = []
    for op, text in word_diff(before_text, after_text):
        if op == "=":
            old.append((text, "text"))
            new.append((text, "text"))
        else:
            (old if op == "-" else new).extend(changed_spans(op, text))
    return old, new


def _add_result(doc: Document, made: Made, changed: set[str], text: Sequence[Span] | None) -> None:
    def line(name: str, value: str, kind: str) -> None:
        mark = "! " if kind in changed else "  "
        role = "warning bold" if kind in changed else "text"
        doc.line((value, role), label=[(mark, "warning bold"), (f"{name:<8} ", "muted")])

    not_yet = "(had not run)"
    line("signals", not_yet if made.signals is None else _signals(made.signals), "signals")
    discard = {None: not_yet, True: "dropped", False: "kept"}[made.discarded]
    line("discard", discard, "discard")
    ends = (made.ends or "continues").replace("_", " ") if made.ends_known else not_yet
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


def _add_error(doc: Document, error: dict[str, Any] | None) -> None:
    message, frames = error_lines(error)
    doc.line((message, "error bold"))
    for frame in frames:
        doc.line((frame, "text"), indent=2)


def _add_raw(doc: Document, raw: str, made: Made | None) -> None:
    doc.head("raw reply")
    marks = [
        (int(match.get("start") or 0), int(match.get("end") or 0), "mark:warning")
        for match in (made.signals if made is not None and made.signals else ())
    ]
    doc.text(raw, indent=2, marks=[mark for mark in marks if mark[0] < mark[1]])
