"""The form of a new conversation, in its own module because its widgets load after the first
frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Select, Static

from convtui.errors import FieldError
from convtui.text.boundary import visible_line
from convtui.tui.drawing import glyphs
from convtui.tui.screens.home.choices import Offer, Template
from convtui.tui.screens.home.completion import CompletingInput
from convtui.tui.screens.home.fields import ANOTHER_FILE, BY_NAME, FIELDS, Field, is_set

COLD: Final = "no template: cold start"
_START_ABOUT: Final = "Starts the conversation."
_MORE_ABOUT: Final = "Who speaks first, words, warm templates, endpoints, parameters."


_FIELD_KEYS: Final[list[BindingType]] = [
    Binding("up", "app.focus_previous", "previous field", show=False),
    Binding("down", "app.focus_next", "next field", show=False),
]


class FormEnd(Vertical):
    """What stays in sight while the form scrolls: about the field, whether it can run, Start."""

    DEFAULT_CSS = """
    FormEnd { height: auto; }
    FormEnd #about { height: 1; color: $text-muted; }
    FormEnd #check { height: auto; width: 1fr; max-height: 3; }
    FormEnd #form-end { height: auto; }
    FormEnd #start, FormEnd #start:hover {
        margin: 0; width: auto; min-width: 20; height: 1; border: none; background: $panel;
        color: $text-accent; text-style: bold;
    }
    FormEnd #start:focus {
        background: $accent; color: $background; text-style: bold; background-tint: $accent 0%;
    }
    FormEnd #start:disabled { background: $panel; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = _FIELD_KEYS

    def compose(self) -> ComposeResult:
        yield Static(id="about", markup=False)
        with Horizontal(id="form-end"):
            yield Static(id="check", markup=False)
            yield Button("Start", id="start", compact=True)

    def about(self, text: str) -> None:
        self.query_one("#about", Static).update(Content(visible_line(text, 400)))

    def show_check(self, text: Content) -> None:
        self.query_one("#check", Static).update(text)

    def on_descendant_focus(self) -> None:
        self.about(_START_ABOUT)


class ChoiceForm(Vertical):
    """One line per field; rare fields fold under `more`. A sentence tells about the focused one."""

    DEFAULT_CSS = """
    ChoiceForm { height: auto; }
    ChoiceForm #form-fields { height: auto; layout: vertical; }
    ChoiceForm .column { height: auto; width: 1fr; }
    ChoiceForm #form-more { display: none; }
    ChoiceForm.-more #form-more { display: block; }
    ChoiceForm.-wide #form-fields { layout: horizontal; }
    ChoiceForm.-wide #form-more { margin-left: 3; }
    ChoiceForm .line { height: 1; }
    ChoiceForm #line_persona_file, ChoiceForm #line_warm_slots { display: none; }
    ChoiceForm #line_persona_file.-wanted, ChoiceForm #line_warm_slots.-wanted { display: block; }
    ChoiceForm .name { width: 14; height: 1; color: $text-muted; }
    ChoiceForm .line.-bad .name { color: $text-error; text-style: bold; }
    ChoiceForm .line:focus-within .name { color: $text-accent; text-style: bold; }
    ChoiceForm Input, ChoiceForm Input:focus {
        width: 1fr; height: 1; border: none; border-left: outer $surface; padding: 0 1 0 0;
        background: $surface;
    }
    ChoiceForm Input:focus { border-left: outer $accent; background: $panel; }
    ChoiceForm Select { width: 1fr; height: 1; }
    ChoiceForm Select > SelectCurrent {
        height: 1; border: none; border-left: outer $surface; padding: 0 1 0 0;
        background: $surface;
    }
    ChoiceForm Select:focus > SelectCurrent {
        border: none; border-left: outer $accent; background: $panel; background-tint: $panel 0%;
    }
    ChoiceForm Select > SelectOverlay { border: round $accent; }
    ChoiceForm #more, ChoiceForm #more:hover {
        margin: 0; min-width: 0; width: auto; height: 1; border: none; padding: 0;
        background: transparent; color: $text-muted; text-style: none;
    }
    ChoiceForm #more:focus { background: $accent; color: $background; text-style: bold;
                             background-tint: $accent 0%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = _FIELD_KEYS

    def __init__(self, end: FormEnd) -> None:
        super().__init__()
        self._end = end

    def compose(self) -> ComposeResult:
        with Vertical(id="form-fields"):
            with Vertical(classes="column"):
                for field in FIELDS:
                    if not field.folded:
                        yield from self._line(field)
            with Vertical(classes="column", id="form-more"):
                for field in FIELDS:
                    if field.folded:
                        yield from self._line(field)
        yield Button(f"{glyphs.FOLDED} more", id="more", compact=True)

    def _line(self, field: Field) -> ComposeResult:
        with Horizontal(id=f"line_{field.name}", classes="line"):
            yield Static(field.label, classes="name", markup=False)
            if field.name == "first":
                options = [("the persona", "persona"), ("the provider", "provider")]
                yield Select(options, value="persona", allow_blank=False, id="first")
            elif field.options:
                first = COLD if field.name == "warm" else field.default
                yield Select(
                    [(Content(first), field.default)],
                    value=field.default,
                    allow_blank=False,
                    id=field.name,
                )
            elif field.name in ("persona_file", "provider"):
                yield CompletingInput(field.default, field.hint, id=field.name)
            else:
                yield Input(field.default, placeholder=field.hint, id=field.name)

    # --- values

    def input(self, name: str) -> Input:
        return self.query_one(f"#{name}", Input)

    def select(self, name: str) -> Select[str]:
        return cast("Select[str]", self.query_one(f"#{name}", Select))

    def values(self) -> dict[str, str]:
        """What every field says, by its name."""
        return {
            field.name: str(self.select(field.name).value)
            if field.options
            else self.input(field.name).value.strip()
            for field in FIELDS
        }

    def fill(self, values: Mapping[str, object], untouched: Mapping[str, str]) -> None:
        """Fills the inputs that are still as `untouched`; opens what is folded if that is set."""
        for field in FIELDS:
            value = values.get(field.name)
            if field.options or not isinstance(value, str):
                continue
            if self.input(field.name).value == untouched[field.name]:
                self.input(field.name).value = value
        if values.get("first") in ("persona", "provider"):
            self.select("first").value = str(values["first"])

    def show_personas(self, offers: Sequence[Offer], chosen: str) -> None:
        """Lists the personas; one that is not among them is the name of a file."""
        select = self.select("persona")
        options = [(Content(offer.label), offer.spec) for offer in offers]
        select.set_options([*options, (Content("another file ..."), ANOTHER_FILE)])
        specs = [offer.spec for offer in offers]
        if chosen in (*specs, ANOTHER_FILE):
            select.value = chosen
        elif specs:
            select.value = "demo" if "demo" in specs else specs[0]

    def show_templates(self, templates: Sequence[Template], chosen: str) -> None:
        select = self.select("warm")
        options = [(Content(offer.label), offer.spec) for offer in templates]
        select.set_options([(Content(COLD), ""), *options])
        select.value = chosen if any(offer.spec == chosen for offer in templates) else ""

    # --- what is shown

    def show_wanted(self, slots: Sequence[str]) -> None:
        """Shows the fields that others ask for: the file of a persona, the slots of a template."""
        another = str(self.select("persona").value) == ANOTHER_FILE
        self.query_one("#line_persona_file").set_class(another, "-wanted")
        self.query_one("#line_warm_slots").set_class(bool(slots), "-wanted")
        if slots:
            self.input("warm_slots").placeholder = "; ".join(f"{name}=..." for name in slots)

    def open_if_set(self) -> None:
        """Opens what is folded if a field in there is set."""
        values = self.values()
        if any(field.folded and is_set(field.name, values[field.name]) for field in FIELDS):
            self.show_more(True)

    def show_more(self, more: bool) -> None:
        self.set_class(more, "-more")
        self.query_one("#more", Button).label = (
            f"{glyphs.UNFOLDED} less" if more else f"{glyphs.FOLDED} more"
        )

    @property
    def has_more(self) -> bool:
        """Whether the rare fields are shown."""
        return self.has_class("-more")

    def show_check(self, text: Content, error: FieldError | None) -> None:
        """Shows whether the choice can run, and marks the field that is wrong."""
        self._end.show_check(text)
        for line in self.query(".line"):
            line.set_class(error is not None and line.id == f"line_{error.field}", "-bad")
        if error is not None and error.field in BY_NAME and BY_NAME[error.field].folded:
            self.show_more(True)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        name = event.widget.id or ""
        field = BY_NAME.get(name)
        self._end.about(field.about if field is not None else _MORE_ABOUT if name == "more" else "")

    def on_completing_input_offered(self, event: CompletingInput.Offered) -> None:
        event.stop()
        names = [text.rpartition(":")[2] if ":" in text else text for text in event.completions]
        self._end.about("  ".join(names))
