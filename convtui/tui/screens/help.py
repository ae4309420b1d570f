"""Help: the keys that work here, made from the live keymap."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from convtui.actions import Action, Keymap

_FAMILY = re.compile(r".*_([2-9])")


class HelpScreen(ModalScreen[None]):
    """Groups of keys with what each does."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen > VerticalScroll { width: 84; max-width: 96%; height: auto; max-height: 92%;
                                  border: round $accent; background: $surface; padding: 0 1; }
    HelpScreen Static { width: 1fr; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1,enter", "dismiss(None)", "close"),
    ]

    def __init__(self, keymap: Keymap, actions: Sequence[Action]) -> None:
        super().__init__()
        self._keymap = keymap
        self._actions = list(actions)

    def compose(self) -> ComposeResult:
        """The table."""
        box = VerticalScroll()
        box.border_title = Content("keys that work here")
        box.border_subtitle = Content("esc close")
        with box:
            yield Static(self.table(), markup=False)

    def table(self) -> Content:
        """The keys by group."""
        groups: dict[str, list[Action]] = {}
        for action in self._actions:
            # Of choice 1 to 9 and tab 1 to 9 the first stands for all.
            if not _FAMILY.fullmatch(action.id):
                groups.setdefault(action.group, []).append(action)
        parts: list[tuple[str, str]] = []
        for group, members in groups.items():
            if parts:
                parts.append(("\n", ""))
            parts.append((f"{group}\n", "bold $text-accent"))
            for action in members:
                keys = [self._keymap.display(key) for key in self._keymap.keys(action)]
                shown = "  ".join(keys)
                does = action.help
                if action.id.endswith("_1"):
                    shown, does = f"{keys[0]} to 9" if keys else "", does.replace(" 1 ", " 1 to 9 ")
                pad = " " * max(1, 18 - cell_len(shown))
                confirm = " (press twice)" if action.confirm else ""
                parts += [(f"  {shown}{pad}", "bold"), (f"{does.rstrip('.')}{confirm}\n", "")]
        return Content.assemble(*parts)

    def on_mount(self) -> None:
        """The keys scroll it."""
        self.query_one(VerticalScroll).focus()
