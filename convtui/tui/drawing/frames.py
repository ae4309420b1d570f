"""The frames around panes: one style for all screens, left out where the terminal is small.

A pane is a widget of the class `pane`. Its title and its small facts stand in the frame; the frame
of the pane with the focus has the accent colour.
"""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from convtui.text.boundary import visible_line

PANE: Final = "pane"
ONLY: Final = "-only"
"""The class of a pane that has taken the place of the others: the keys are about what it shows."""
UNFRAMED: Final = "-unframed"
"""The class of a screen that is too small for frames."""
_FRAMED_FROM: Final = Size(70, 20)
CSS: Final = """
.pane {
    border: round $border-blurred;
    border-title-color: $text-muted;
    border-title-style: bold;
    border-subtitle-color: $text-muted;
    padding: 0 1;
}
.pane:focus, .pane:focus-within, .pane.-only {
    border: round $accent;
    border-title-color: $text-accent;
}
.pane.-alert { border: round $warning; border-title-color: $text-warning; }
.pane.-alert.-error { border: round $error; border-title-color: $text-error; }
/* Its lines begin with the mark of the selection and end with the scroll bar. */
.pane.-list { padding: 0; }
.-unframed .pane { border: none; }
.-unframed .pane.-beside { border-left: solid $border-blurred; }
.-unframed .pane.-below { border-top: solid $border-blurred; }
.-unframed .pane.-alert { border: none; background: $panel; }
/* An example is no value; a colour alone would not say so. */
Input > .input--placeholder { text-style: italic; }
TextArea .text-area--placeholder { color: $text-muted; text-style: italic; }
TextArea .text-area--selection { color: $input-selection-foreground; }
/* Its scroll bar touches no word. */
ModalScreen OptionList { scrollbar-size-vertical: 1; }
ModalScreen OptionList > .option-list--option { padding: 0 1 0 0; }
SelectCurrent .arrow { color: $text-muted; }
.screen-title { height: 1; width: 1fr; padding: 0 1; background: $background; }
"""


def has_frames(size: Size) -> bool:
    """Whether a screen of this size has room for frames."""
    return size.width >= _FRAMED_FROM.width and size.height >= _FRAMED_FROM.height


def entitle(pane: Widget, title: str, facts: str = "") -> None:
    """Sets the words in a pane's frame; text from outside is drawn without control characters."""
    heading = Content(visible_line(title, 60)) if title else None
    note = Content(visible_line(facts, 60)) if facts else None
    # Setting them draws the whole pane again, whatever they were.
    if pane.border_title != (heading.markup if heading is not None else None):
        pane.border_title = heading
    if pane.border_subtitle != (note.markup if note is not None else None):
        pane.border_subtitle = note


def make_pane(pane: Widget, title: str, kind: str = "") -> None:
    """Gives a widget the frame of panes; `kind` is `-list`, `-beside`, `-below` or `-alert`."""
    # Before it is on a screen there are no styles to update.
    pane.add_class(PANE, *([kind] if kind else []), update=pane.is_attached)
    entitle(pane, title)
