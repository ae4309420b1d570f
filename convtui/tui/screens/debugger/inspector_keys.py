"""Opens the inspector and switches its tabs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from convtui.actions.registry import TABS
from convtui.tui.screens.debugger.context import DebuggerContext
from convtui.tui.screens.handlers import Handler
from convtui.tui.widgets.inspector.context import DECISION
from convtui.tui.widgets.inspector.decisions import CONVERSATION
from convtui.tui.widgets.inspector.inspector import Inspector


class InspectorKeys:
    """Shows and hides the inspector, and switches its tabs."""

    def __init__(
        self,
        context: DebuggerContext,
        inspector: Inspector,
        *,
        show: Callable[[bool], None],
        shown: Callable[[], bool],
    ) -> None:
        self._context = context
        self._conversation = context.conversation
        self._inspector = inspector
        self._show = show
        self._shown = shown

    def handlers(self) -> Iterator[Handler]:
        enabled = self._has_turns
        yield Handler("inspector.toggle", self._toggle, enabled)
        yield Handler("inspector.open", self.open, enabled)
        yield Handler("inspector.next_tab", partial(self._next_tab, 1), enabled)
        yield Handler("inspector.previous_tab", partial(self._next_tab, -1), enabled)
        for number in range(1, TABS + 1):
            yield Handler(
                f"inspector.tab_{number}",
                partial(self._show_tab, number),
                partial(self._has_tab, number),
            )
        yield Handler("inspector.decision", self._decision, self._deciding)
        pane = self._inspector.pane
        yield Handler("inspector.fold", pane.toggle, self._on_fold, self._fold_label)
        yield Handler("inspector.fold_all", pane.toggle_all, self._has_folds, self._all_label)

    def _has_turns(self) -> bool:
        return self._conversation.has_turns

    def _has_tab(self, number: int) -> bool:
        return self._has_turns() and number <= len(self._inspector.tabs)

    def _deciding(self) -> bool:
        return self._conversation.deciding

    def _toggle(self) -> None:
        self._show(not self._shown())

    def open(self) -> None:
        """Opens the inspector on the selected turn and gives it the focus."""
        self._show(True)
        self._inspector.pane.focus()

    def _next_tab(self, direction: int) -> None:
        self._show(True)
        self._inspector.next_tab(direction)

    def _show_tab(self, number: int) -> None:
        """Shows a tab; if it is shown already, goes into it."""
        if number > len(self._inspector.tabs):
            if number == TABS:
                self._context.notify("This conversation has no responder, and no decisions.")
            return
        if self._shown() and self._inspector.tab == self._inspector.tabs[number - 1]:
            self._inspector.pane.focus()
            return
        self._show(True)
        self._inspector.show_tab(number)

    def _decision(self) -> None:
        """Shows the decisions of the selected turn; again, the responder's own conversation."""
        before = self._inspector.tab if self._shown() else ""
        self._show(True)
        if DECISION not in self._inspector.tabs:
            self._context.notify("This conversation has no responder.")
            return
        self._inspector.tab = DECISION
        if before == DECISION:
            self._inspector.pane.go_to_fold(CONVERSATION)

    # --- folds

    def on_fold(self) -> bool:
        """Whether the keys are in the inspector, where there are folds."""
        return self._inspector.pane.has_focus and self._inspector.pane.has_folds

    def _on_fold(self) -> bool:
        return self.on_fold() and self._inspector.pane.cursor >= 0

    def _fold_label(self) -> str:
        return "fold" if self._inspector.pane.is_open else "unfold"

    def _has_folds(self) -> bool:
        return self._shown() and self._inspector.pane.has_folds

    def _all_label(self) -> str:
        return "fold all" if self._inspector.pane.everything_open else "unfold all"
