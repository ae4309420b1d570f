"""The picker's form, in its own module because its widgets load after the first frame."""

from __future__ import annotations

from typing import Final

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Select, Static

COLD: Final = "no template: cold start"


class ChoiceForm(Vertical):
    """Persona, provider, sessions, limits and warm template of a new conversation."""

    DEFAULT_CSS = """
    ChoiceForm { height: auto; }
    ChoiceForm #line_warm_slots { display: none; }
    ChoiceForm #line_warm_slots.-wanted { display: block; }
    """

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("persona", classes="name", markup=False)
            yield Select(
                [(Content("demo"), "demo")], value="demo", allow_blank=False,
                compact=True, id="persona",
            )  # fmt: skip
        yield Static("who the simulated user is", classes="about", markup=False)
        yield from self._line("provider", "demo", "demo")
        yield Static(
            "demo, a model (openai/gpt-4o), file.py:name, or an installed provider",
            classes="about",
            markup=False,
        )
        yield from self._line("user_model", "", "only for personas that need one")
        yield from self._line("sessions", "", "one; or several: intake, refund")
        with Horizontal():
            yield Static("first", classes="name", markup=False)
            yield Select(
                [("the persona speaks first", "persona"),
                 ("the provider speaks first", "provider")],
                value="persona", allow_blank=False, compact=True, id="first",
            )  # fmt: skip
        yield from self._line("max_turns", "20", "20")
        yield from self._line("max_total_words", "", "no limit")
        with Horizontal():
            yield Static("warm", classes="name", markup=False)
            yield Select([(Content(COLD), "")], value="", allow_blank=False, compact=True,
                         id="warm")  # fmt: skip
        yield from self._line("warm_slots", "", "slot=value; other=value")
        yield Static(id="check", markup=False)
        yield Button("Start  (enter)", variant="primary", id="start", compact=True)

    def _line(self, field: str, value: str, hint: str) -> ComposeResult:
        names = {"user_model": "user's model", "max_turns": "turns", "max_total_words": "words",
                 "warm_slots": "slots"}  # fmt: skip
        with Horizontal(id=f"line_{field}"):
            yield Static(names.get(field, field), classes="name", markup=False)
            yield Input(value, placeholder=hint, id=field)
