"""After a reload: one turn as the old code and as the new code process it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from convtui.actions.registry import Keymap
from convtui.analysis.rehook.preview import Asked, Made, Preview
from convtui.errors import ConvtuiError
from convtui.text.boundary import visible_line
from convtui.text.word_diff import word_diff
from convtui.transcript.ending_words import ending_phrase
from convtui.tui.drawing.labels import error_lines
from convtui.tui.drawing.palette import Palette, Span
from convtui.tui.drawing.word_diff import changed_spans
from convtui.tui.textual_compat import after_refresh, is_open, run_while_open
from convtui.tui.widgets.keybar import KeyBar, KeyItem
from convtui.tui.widgets.notice_line import NoticeLine
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

AskAgain = Callable[[], Awaitable[Asked]]
"""Raises `ConvtuiError`."""


def summary(preview: Preview | None, problem: str = "") -> str:
    """What the new code changes, as a sentence; `problem` is why there is no preview."""
    if problem or preview is None:
        first = problem.split("\n", 1)[0]
        return f"the new code cannot be tried: {visible_line(first, 300)}"
    if preview.error is not None and not preview.changed:
        return "a hook fails as it did before."
    # What setup() makes of the object is not in the result.
    tried = " It was tried without its setup()." if preview.without_setup else ""
    if not preview.changed:
        return f"nothing changes with the new code.{tried}"
    return f"changed: {', '.join(_NAMES[name] for name in preview.changed)}.{tried}"


class ReloadDiff(Screen[str | None]):
    """One reply through the old hooks and the new ones; `a` asks the model again.

    It changes nothing: neither the preview nor another reply is part of the conversation. Its
    result is the key that left it, to be pressed in the conversation; None if there is none.
    """

    DEFAULT_CSS = """
    ReloadDiff { layout: vertical; }
    ReloadDiff #reloaded-title { height: 1; width: 1fr; background: $panel; padding: 0 1; }
    ReloadDiff #reloaded-summary { height: auto; max-height: 4; width: 1fr; padding: 0 1;
                                    border-bottom: solid $border-blurred; }
    ReloadDiff Horizontal { height: 1fr; }
    ReloadDiff TextPane { width: 1fr; height: 1fr; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "ask", "ask the model again"),
        Binding("enter,escape,q", "back", "back"),
        Binding("down,j", "scroll(1)", "down", show=False),
        Binding("up,k", "scroll(-1)", "up", show=False),
    ]

    def __init__(
        self,
        title: str,
        preview: Preview | None,
        problem: str = "",
        *,
        ask_again: AskAgain | None,
        reload_keys: Sequence[str],
        acts: Callable[[str], bool],
        palette: Palette,
    ) -> None:
        super().__init__()
        """`preview` is the recorded reply through the new code, `problem` why there is none.

        `acts` says whether a key is an action on the conversation.
        """
        self._title = title
        self._ask_again = ask_again
        self._reload_keys = reload_keys[:1]
        self._acts = acts
        self._palette = palette
        self.preview = preview
        self.problem = problem
        self.new_reply: Asked | None = None
        self.asking = False
        self.ask_problem = ""

    def compose(self) -> ComposeResult:
        yield Static(id="reloaded-title", markup=False)
        yield Static(id="reloaded-summary", markup=False)
        with Horizontal():
            for name in ("old", "new", "asked"):
                yield TextPane(id=f"reloaded-{name}", palette=self._palette)
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#reloaded-title", Static).update(
            Content.assemble((" RELOADED ", "bold reverse $text-accent"), f" {self._title}")
        )
        # The columns' content is mounted after the screen.
        after_refresh(self, self._show)

    def on_resize(self) -> None:
        after_refresh(self, self._show)

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
        if event.action == "ask":
            self.action_ask()
        else:
            self.dismiss(event.action or None)

    def on_key(self, event: events.Key) -> None:
        """Returns with a key that acts on the conversation and means nothing here."""
        if event.key not in _OWN_KEYS and self._acts(event.key):
            event.stop()
            self.dismiss(event.key)

    # --- drawing

    @property
    def summary(self) -> str:
        """What changed, as a sentence."""
        text = summary(self.preview, self.problem)
        return text[:1].upper() + text[1:]

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
        keys = [KeyItem("enter", "back to the conversation", "")]
        if self._ask_again is not None:
            keys.append(KeyItem("a", "ask the model again", "ask"))
        keys += [KeyItem(Keymap.display(key), "reload again", key) for key in self._reload_keys]
        self.query_one(KeyBar).items = keys

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


_OWN_KEYS = {
    key
    for binding in ReloadDiff.BINDINGS
    if isinstance(binding, Binding)
    for key in binding.key.split(",")
}
"""Keys that mean something here: whatever waits in the conversation, they are no answer to it."""


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
    ends = (ending_phrase(made.ends) if made.ends else "continues") if made.ends_known else not_yet
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
