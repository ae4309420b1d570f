"""The form for building a warm template from saved runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from convtui.analysis.mining.mining import Rules
from convtui.errors import ConvtuiError, FieldError
from convtui.filters.filter import parse
from convtui.text.boundary import visible_line
from convtui.tui.screens.dialogs.box import DialogBox
from convtui.tui.screens.dialogs.questions import DROPS
from convtui.tui.textual_compat import after_refresh

_RULES: Final = Rules()
_FIELDS: Final = (
    ("name", "name", "", "letters, digits, _ and -"),
    ("description", "what for", "", "for people"),
    ("tags", "tags", "", "words, with commas between them"),
    ("filter", "only runs", "", "a filter, such as ~provider desk & ~tool"),
    ("min_messages", "min messages", str(_RULES.min_messages), "that a run has at least"),
    ("max_sessions", "max runs", str(_RULES.max_sessions), "that are used"),
    ("max_error_rate", "max errors", f"{_RULES.max_error_rate:g}", "of a run at most, 0 to 1"),
    (
        "min_success_rate",
        "min success",
        f"{_RULES.min_success_rate:g}",
        "of a tool at least, 0 to 1",
    ),
    ("ended", "ended", "", "any; or kinds: completed, max_turns"),
)


_ABOUT: Final = "Tool calls that worked become patterns; secrets are taken out."
_LABEL: Final = 18
"""Cells of a label and of what is around a field."""


@dataclass(slots=True, frozen=True)
class BuildOptions:
    """The template to build and the runs to build it from."""

    name: str
    description: str
    tags: tuple[str, ...]
    filter: str
    rules: Rules


class BuildForm(ModalScreen[BuildOptions | None]):
    """One line per option; None when it is left. `check` says why a name is refused."""

    DEFAULT_CSS = """
    BuildForm { align: center middle; background: $background 60%; }
    BuildForm VerticalScroll { height: auto; width: 1fr; }
    BuildForm Horizontal { height: 1; }
    BuildForm .name { width: 14; height: 1; color: $text-muted; }
    BuildForm Input, BuildForm Input:focus { height: 1; border: none; padding: 0 1 0 0; width: 1fr;
                                             border-left: outer $field-edge;
                                             background: $panel; }
    BuildForm Input:focus { border-left: outer $accent; }
    BuildForm Horizontal:focus-within .name { color: $text-accent; text-style: bold; }
    BuildForm #build-hint { height: auto; color: $text-muted; }
    BuildForm #build-hint.-bad { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "cancel"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, runs: str, check: Callable[[str], str | None]) -> None:
        """`runs` describes the runs that are used, for the title."""
        super().__init__()
        self._runs = runs
        self._check = check
        self._leaving = False

    def compose(self) -> ComposeResult:
        """The fields, and a line below them."""
        keys = "enter build  tab next  esc cancel"
        with DialogBox(f"build a template from {self._runs}", keys):
            with VerticalScroll(can_focus=False, id="build-fields"):
                for name, label, value, hint in _FIELDS:
                    with Horizontal():
                        yield Static(label, classes="name", markup=False)
                        yield Input(value, placeholder=hint, id=f"build-{name}")
            yield Static(id="build-hint", markup=False)

    def on_mount(self) -> None:
        """The name comes first."""
        # What is inside the scroll is mounted after the screen.
        after_refresh(self, self._begin)

    def _begin(self) -> None:
        self.query_one(DialogBox).hold([" " * _LABEL + hint for *_, hint in _FIELDS] + [_ABOUT])
        self._say("")
        self.query_one("#build-name", Input).focus()

    def on_resize(self) -> None:
        after_refresh(self, self._fit)

    def _fit(self) -> None:
        """All fields where there is room; what is wrong with them stays below."""
        fields, hint = self.query_one("#build-fields"), self.query_one("#build-hint")
        room = self.query_one(DialogBox).room(self.app.size)
        fields.styles.max_height = max(1, room.height - max(1, hint.size.height))

    def on_input_changed(self) -> None:
        """The complaint is about what is not there any more."""
        self._leaving = False
        self._say("")

    def action_leave(self) -> None:
        """Builds nothing; asks for a second press where something was written."""
        written = any(
            self.query_one(f"#build-{name}", Input).value != value for name, _, value, _ in _FIELDS
        )
        if written and not self._leaving:
            self._leaving = True
            self._say(DROPS)
        else:
            self.dismiss(None)

    def _say(self, wrong: str) -> None:
        hint = self.query_one("#build-hint", Static)
        hint.set_class(bool(wrong), "-bad")
        after_refresh(self, self._fit)
        hint.update(Content(visible_line(wrong, 400) or _ABOUT))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Builds, when nothing speaks against it."""
        event.stop()
        values = {
            name: self.query_one(f"#build-{name}", Input).value.strip() for name, *_ in _FIELDS
        }
        wrong = self._check(values["name"])
        place = "name"
        if wrong is None:
            try:
                wishes = wishes_of(values)
            except FieldError as error:
                place, wrong = error.field, error.problem
            else:
                self.dismiss(wishes)
                return
        self._say(wrong)
        self.query_one(f"#build-{place}", Input).focus()


def wishes_of(values: dict[str, str]) -> BuildOptions:
    """The wishes in the texts of the form; raises with the field and what is wrong with it."""
    if values["filter"]:
        try:
            parse(values["filter"])
        except ConvtuiError as error:
            raise FieldError("filter", str(error)) from None
    return BuildOptions(
        values["name"],
        values["description"],
        _words(values["tags"]),
        values["filter"],
        Rules(
            _whole(values, "min_messages", 0),
            _whole(values, "max_sessions", 1),
            "",
            _words(values["ended"]),
            _share(values, "max_error_rate"),
            _share(values, "min_success_rate"),
        ),
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def _whole(values: dict[str, str], name: str, least: int) -> int:
    text = values[name]
    if not (text.isascii() and text.isdecimal()) or int(text) < least:
        raise FieldError(name, f"write a whole number from {least} on, not {text!r}")
    return int(text)


def _share(values: dict[str, str], name: str) -> float:
    try:
        value = float(values[name])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise FieldError(name, f"write a number from 0 to 1, not {values[name]!r}")
    return value
