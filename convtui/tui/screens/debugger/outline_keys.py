"""Moves the focus into the outline and back, and over its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.transcript.outline import Outline

_OPENS: Final = {"turn": "to the turn", "heading": "fold", "folded": "unfold", "log": "open"}
"""What Enter does, by what the cursor is on."""


class OutlineKeys:
    """The outline's keys as actions, so that footer, help and palette say what they do."""

    def __init__(
        self,
        context: DebuggerContext,
        outline: Outline,
        leave: Callable[[], object],
        moved: Callable[[], object],
    ) -> None:
        """`leave` gives the focus back; `moved` is called when the keys do something else."""
        self._context = context
        self._outline = outline
        outline.leave, outline.moved = leave, moved

    def handlers(self) -> Iterator[Handler]:
        outline, inside = self._outline, self.inside
        yield Handler("view.outline", self._toggle, self._shown)
        yield Handler("view.hooks", self._toggle_hooks, self._shown)
        yield Handler("outline.up", outline.action_scroll_up, inside)
        yield Handler("outline.down", outline.action_scroll_down, inside)
        yield Handler("outline.left", outline.action_scroll_left, inside, self._left_label)
        yield Handler("outline.right", outline.action_scroll_right, inside, self._right_label)
        yield Handler("outline.open", outline.action_choose, inside, lambda: _OPENS[outline.on])
        yield Handler("outline.leave", outline.action_leave, inside)

    def inside(self) -> bool:
        """Whether the outline has the focus."""
        return self._outline.has_focus

    def _shown(self) -> bool:
        return bool(self._outline.display)

    def _left_label(self) -> str | None:
        return "fold" if self._outline.on == "heading" else None

    def _right_label(self) -> str | None:
        return "unfold" if self._outline.on == "folded" else None

    def _toggle(self) -> None:
        if self.inside():
            self._outline.leave()
        elif self._shown():
            self._outline.focus()
        else:
            self._context.notify("No outline here: there is one session only, or no room for it.")

    def _toggle_hooks(self) -> None:
        which = "every hook" if self._outline.toggle_hooks() else "slow and failed hooks"
        self._context.notify(f"The outline lists {which}.")
