"""Warm: a template is edited in the user's editor, or deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from convtui.errors import ConvtuiError
from convtui.text.boundary import visible_line
from convtui.tui.documents.warm import Entry
from convtui.tui.screens.dialogs.questions import Choose
from convtui.tui.screens.handlers import Handler
from convtui.tui.screens.screen_context import ScreenContext
from convtui.warm.store import WarmStore


class WriteFile(Protocol):
    """A text as it comes back from the user's editor; None when it is the same, or told why."""

    def __call__(self, text: str, *, name: str, else_: str) -> Awaitable[str | None]: ...


class TemplateEditing:
    """Changes the file of the selected template."""

    def __init__(
        self,
        context: ScreenContext,
        store: WarmStore,
        *,
        selected: Callable[[], Entry | None],
        reload: Callable[[str], Awaitable[None]],
        write_outside: WriteFile,
    ) -> None:
        """`reload` shows the templates as they are now, and selects the one of a name."""
        self._context = context
        self._store = store
        self._selected = selected
        self._reload = reload
        self._write_outside = write_outside

    def handlers(self) -> Iterator[Handler]:
        """The actions that change a template."""
        yield Handler("warm.edit", self._edit, self._any)
        yield Handler("warm.delete", self._ask_to_delete, self._any)

    def _any(self) -> bool:
        return self._selected() is not None

    async def _edit(self) -> None:
        """Opens the template in the user's editor until it is one again, or left as it was."""
        entry = self._selected()
        if entry is None:
            return
        path = self._store.path(entry.name)
        try:
            text = await asyncio.to_thread(path.read_text, encoding="utf-8", errors="replace")
        except OSError as error:
            self._context.notify(f"{path}: cannot be read: {error.strerror or error}", "error")
            return
        while True:
            after = await self._write_outside(
                text, name=f"{entry.name}.json", else_=f"edit {path} yourself"
            )
            if after is None:
                return
            try:
                await asyncio.to_thread(self._store.rewrite, entry.name, after)
            except ConvtuiError as error:
                answers = [("again", "edit it again"), ("leave", "leave it as it was")]
                why = visible_line(str(error), 600)
                ask = Choose("this is no template", answers, why)
                if await self._context.ask(ask) != "again":
                    self._context.notify(f"{entry.name} is as it was.")
                    return
                text = after
                continue
            await self._reload(entry.name)
            self._context.notify(f"Saved: {entry.name}.")
            return

    def _ask_to_delete(self) -> None:
        """Asks, then deletes."""
        entry = self._selected()
        if entry is None:
            return
        path = self._store.path(entry.name)

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self._context.spawn(self._delete(entry.name))

        answers = [("keep", "keep it"), ("delete", "delete its file")]
        text = visible_line(str(path), 300)
        self._context.open(Choose(f"delete {entry.name}?", answers, text), answered)

    async def _delete(self, name: str) -> None:
        await asyncio.to_thread(self._store.delete, name)
        await self._reload("")
        self._context.notify(f"Deleted: {visible_line(name, 60)}.")
