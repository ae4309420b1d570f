"""The pane for a provider that cannot be loaded: the error, its location, and retries on save."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from convtui.errors import EngineError
from convtui.text.boundary import visible_line
from convtui.tui.drawing.labels import error_lines, error_location, short_path
from convtui.tui.sources import watch
from convtui.tui.textual_compat import run_while_open
from convtui.tui.widgets.keybar import KeyBar, KeyItem
from convtui.tui.widgets.notice_line import NoticeLine

_SOURCE = ".py"
CONTEXT_LINES = 4
"""Lines of source shown before and after the failed one."""

Attempt = Callable[[], Awaitable[None]]
"""Tries again. Raises `EngineError` if it still fails."""
OpenAt = Callable[[Path, int], Awaitable[None]]
"""Opens a file at a line in the user's editor."""
_FILE_OF_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+)')
_FILE_LINE = re.compile(r"(?P<file>\S+\.py):(?P<line>\d+)")
_FRAME = re.compile(r"\S:\d+( in |$)")
"""A line of a traceback that names a place; others continue it or are the exception."""


def error_data(error: EngineError) -> dict[str, Any]:
    """The error record of an engine that did not start, with the location of the failure."""
    first, *frames = str(error).splitlines() or [""]
    data: dict[str, Any] = {"type": "EngineError", "message": first, "frames": frames}
    if error.error:
        data = dict(error.error)
        frames = [str(frame) for frame in data.get("frames") or ()]
    if data.get("location"):
        return data
    # A crash report starts with the innermost call, a traceback ends with it.
    crash = any(line.startswith('  File "') for line in frames)
    for line in (*(frames if crash else reversed(frames)), first):
        match = _FILE_OF_FRAME.search(line) or _FILE_LINE.search(line)
        if match is not None:
            data["location"] = [match["file"], int(match["line"])]
            break
    return data


def what_failed(error: dict[str, Any] | None, otherwise: str) -> str:
    """What of a provider cannot be done, by its error; `otherwise` where that does not say."""
    error = error or {}
    if error.get("hook") == "setup":
        return "cannot be set up"
    return "cannot be loaded" if error.get("type") == "ProviderLoadError" else otherwise


def split_error(error: dict[str, Any] | None) -> tuple[str, str, list[str]]:
    """An error as (exception, what could not be done, frames): the exception says why."""
    message, frames = error_lines(error)
    exception: list[str] = []
    while frames and not exception and not frames[-1].startswith(" "):
        if _FRAME.search(frames[-1]):
            break
        exception.append(frames.pop())
    why = exception[0] if exception else ""
    if not why or why in message:
        return message or "the engine gave no reason", "", frames
    return why, message, frames


def excerpt(path: Path, line: int) -> list[tuple[int, str]]:
    """The lines of a file around `line`, with their numbers; empty if it cannot be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first = max(1, line - CONTEXT_LINES)
            lines: list[tuple[int, str]] = []
            for number, text in enumerate(file, 1):
                if number > line + CONTEXT_LINES:
                    break
                if number >= first:
                    lines.append((number, visible_line(text.rstrip("\n"), 300)))
            return lines
    except OSError:
        return []


class ErrorPane(Screen[bool]):
    """Shows an error of the provider's code, and retries when its files change.

    Dismissed with True when a retry succeeded, False when the user went back. `error` returns the
    engine's last error, `attempt` tries again, `files` are watched.
    """

    DEFAULT_CSS = """
    ErrorPane { layout: vertical; }
    ErrorPane #error-title { height: 1; width: 1fr; background: $panel; padding: 0 1; }
    ErrorPane VerticalScroll { height: 1fr; padding: 1 2; background: $background; }
    ErrorPane VerticalScroll Static { width: 1fr; height: auto; margin-bottom: 1; }
    ErrorPane #error-state { height: auto; width: 1fr; background: $surface; padding: 0 2;
                             border-top: solid $border-blurred; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,R", "again", "try again"),
        Binding("E", "edit", "edit"),
        Binding("question_mark", "explain", "help", show=False),
        Binding("escape", "back", "back"),
        Binding("q", "back", "back"),
    ]

    def __init__(
        self,
        title: str | Callable[[], str],
        *,
        error: Callable[[], dict[str, Any] | None],
        attempt: Attempt,
        files: Sequence[Path] = (),
        edit: OpenAt | None = None,
        back: str = "back to the conversation",
    ) -> None:
        """`title` may change with the error. `edit` opens a file in the user's editor; None if
        there is none."""
        super().__init__()
        self._title: Callable[[], str] = (lambda: title) if isinstance(title, str) else title
        self._edit = edit
        self._error = error
        self._attempt = attempt
        self._files = list(files)
        self._back = back
        self._trying = False
        self._left = False
        """Whether the pane is done: no more retries."""
        self.tries = 0

    def compose(self) -> ComposeResult:
        yield Static(id="error-title", markup=False)
        with VerticalScroll():
            yield Static(id="error-message", markup=False)
            yield Static(id="error-source", markup=False)
            yield Static(id="error-frames", markup=False)
        yield Static(id="error-state", markup=False)
        yield NoticeLine()
        yield KeyBar()

    def on_mount(self) -> None:
        # What was said about the conversation would lie on the error.
        self.app.clear_notifications()
        self.query_one(VerticalScroll).focus()
        # The scroll's content is mounted after the screen.
        self.call_after_refresh(lambda: run_while_open(self, self._show(), group="show"))
        run_while_open(self, self._watch(), group="watch", exclusive=True)

    @property
    def watched(self) -> list[Path]:
        """The files that are watched, with the one the error points at."""
        files = list(self._files)
        location = error_location(self._error())
        if location is not None and location[0] not in files:
            files.append(location[0])
        return files

    async def _show(self) -> None:
        error = self._error()
        why, what, frames = split_error(error)
        location = error_location(error)
        self._show_keys(location)
        self.query_one("#error-title", Static).update(
            Content.assemble((" ERROR ", "bold reverse $text-error"), f" {self._title()}")
        )
        self.query_one("#error-message", Static).update(
            Content.assemble((why, "bold $text-error"), f"\n{what}" if what else "")
        )
        source = self.query_one("#error-source", Static)
        lines = await asyncio.to_thread(excerpt, *location) if location else []
        source.display = location is not None
        if location is not None:
            path, failed = location
            parts: list[tuple[str, str]] = [
                (f"{visible_line(short_path(path), 200)}:{failed}", "bold $text-accent")
            ]
            for number, text in lines:
                here = number == failed
                mark = "> " if here else "  "
                parts.append((f"\n{mark}{number:>5} ", "bold" if here else "$text-muted"))
                parts.append((text, "bold" if here else "$text-muted"))
            source.update(Content.assemble(*parts))
        shown = self.query_one("#error-frames", Static)
        shown.display = bool(frames)
        if frames:
            shown.update(
                Content.assemble(
                    ("traceback, your code only", "$text-muted"),
                    *(f"\n  {frame}" for frame in frames),
                )
            )
        self._show_state("")

    def _show_keys(self, location: tuple[Path, int] | None) -> None:
        keys = [KeyItem("enter", "try again", "again"), KeyItem("esc", self._back, "back")]
        if self._edit is not None and location is not None:
            keys.insert(0, KeyItem("E", f"edit line {location[1]}", "edit"))
        self.query_one(KeyBar).items = keys

    def _show_state(self, state: str) -> None:
        files = ", ".join(visible_line(short_path(path), 80) for path in self.watched[:3])
        if self._trying:
            text = Content.assemble((state, "bold"), " ...")
        elif files:
            text = Content.assemble(
                f"{state}. " if state else "",
                ("Fix it and save to try again.", "bold"),
                (f"  Watching {files}", "$text-muted"),
            )
        else:
            text = Content("Press Enter to try again.")
        self.query_one("#error-state", Static).update(text)

    async def _watch(self) -> None:
        before: watch.Stamp = {}
        watched: list[Path] = []
        while not self._left:
            files = self.watched
            if not files:
                return
            # A missing module is a file that does not exist yet.
            paths = [*files, *dict.fromkeys(path.parent for path in files)]
            if paths != watched:
                # A new error may point at another file.
                watched, before = paths, await asyncio.to_thread(watch.stamp, paths, _SOURCE)
            await watch.changed(paths, before, _SOURCE)
            # A save during the attempt causes another attempt.
            before = await asyncio.to_thread(watch.stamp, paths, _SOURCE)
            await self._try("saved: trying again")

    async def _try(self, why: str) -> None:
        if self._trying or self._left:
            return
        self._trying = True
        self._show_state(why)
        try:
            await self._attempt()
        except EngineError:
            self.tries += 1
            self._trying = False
            await self._show()
            times = "once" if self.tries == 1 else f"{self.tries} times"
            self._show_state(f"Tried again {times}, it still fails")
        else:
            self._trying = False
            self._leave(fixed=True)

    def action_again(self) -> None:
        """Tries again without a save."""
        run_while_open(self, self._try("trying again"), group="try")

    def action_edit(self) -> None:
        """Opens the line that failed in the user's editor; a save is noticed."""
        location = error_location(self._error())
        if self._edit is None:
            self.notify(
                "No editor is set: set VISUAL or EDITOR, or open the file yourself.",
                severity="warning",
                markup=False,
            )
        elif location is None:
            self.notify("The error names no line of a file.", markup=False)
        elif not self._trying:
            run_while_open(self, self._open(*location), group="edit")

    def action_explain(self) -> None:
        """Says what can be done here."""
        self.notify(
            "Saving a corrected file tries again, and so does enter. E opens the line in your"
            f" editor, esc is {self._back}.",
            markup=False,
        )

    async def _open(self, path: Path, line: int) -> None:
        assert self._edit is not None
        await self._edit(path, line)

    def action_back(self) -> None:
        if not self._trying:
            self._leave(fixed=False)

    def _leave(self, *, fixed: bool) -> None:
        # A second key or save may come before the screen is gone.
        if not self._left:
            self._left = True
            self.dismiss(fixed)

    def on_key_bar_chosen(self, event: KeyBar.Chosen) -> None:
        {"again": self.action_again, "edit": self.action_edit}.get(event.action, self.action_back)()
