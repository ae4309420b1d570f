"""The fields of the form on the home screen, and what their values mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from convtui.errors import FieldError, UsageError
from convtui.scenario.params_text import parse_params
from convtui.tui.screens.home.choices import slot_flags

ANOTHER_FILE: Final = "\0file"
"""The choice of a persona that has to be named in a field of its own."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its label, what an empty one shows, a sentence on it."""

    name: str
    label: str
    hint: str
    about: str
    default: str = ""
    folded: bool = False
    """Whether it is needed rarely, and hidden until somebody wants it."""
    options: bool = False
    """Whether it is chosen from a list."""


FIELDS: Final = (
    Field("persona", "persona", "", "Who the simulated user is.", "demo", options=True),
    Field(
        "persona_file", "file", "personas/maya.yaml",
        "A persona file, or personas.tsv:Name; tab completes the path.",
    ),
    Field(
        "provider", "provider", "demo",
        "demo, a model (openai/gpt-4o), file.py:name, or an installed provider; tab completes.",
        "demo",
    ),
    Field(
        "user_model", "user's model", "only for personas that need one",
        "The model that speaks for the persona, such as openai/gpt-4o-mini.",
    ),
    Field(
        "sessions", "sessions", "as the provider has them; or: intake, refund",
        "Session types in their order, with commas between them.",
    ),
    Field("max_turns", "turns", "no limit", "The most turns of a session.", "20"),
    Field("first", "first", "", "Who speaks first.", "persona", folded=True, options=True),
    Field(
        "max_total_words", "words", "no limit", "The most words of the conversation.", folded=True
    ),
    Field(
        "warm", "warm", "", "A template of earlier work that the provider begins with.",
        folded=True, options=True,
    ),
    Field(
        "warm_slots", "slots", "slot=value; other=value", "What the template's slots say.",
        folded=True,
    ),
    Field(
        "api_base", "api base", "http://127.0.0.1:8000/v1",
        "Where the provider's model answers; empty: its usual endpoint.", folded=True,
    ),
    Field(
        "params", "parameters", "temperature=0.2 max_tokens=300",
        "Parameters of the calls of the provider's model.", folded=True,
    ),
    Field(
        "user_api_base", "user's base", "http://127.0.0.1:8000/v1",
        "Where the persona's model answers; empty: its usual endpoint.", folded=True,
    ),
    Field(
        "user_params", "user's params", "temperature=1.0",
        "Parameters of the calls of the persona's model.", folded=True,
    ),
)  # fmt: skip
BY_NAME: Final = {field.name: field for field in FIELDS}
LABELS: Final = {field.name: field.label for field in FIELDS}


def is_set(name: str, value: str) -> bool:
    """Whether a field has another value than it begins with."""
    return value != BY_NAME[name].default


def flags_of(values: Mapping[str, str]) -> dict[str, Any]:
    """The values as flags of `convtui debug`. Raises `FieldError`."""
    persona = values["persona"]
    if persona == ANOTHER_FILE:
        persona = values["persona_file"]
        if not persona:
            raise FieldError("persona_file", "name the file of the persona")
    sessions = [name.strip() for name in values["sessions"].split(",") if name.strip()]
    flags: dict[str, Any] = {
        "persona": persona,
        "provider": values["provider"] or "demo",
        "user_model": values["user_model"] or None,
        "provider_speaks_first": True if values["first"] == "provider" else None,
        "sessions": sessions or None,
        "max_turns": _whole(values, "max_turns"),
        "max_total_words": _whole(values, "max_total_words"),
        "api_base": values["api_base"] or None,
        "user_api_base": values["user_api_base"] or None,
    }
    settings = [
        *_params(values, "params", "provider"),
        *_params(values, "user_params", "persona"),
    ]
    if values["warm"]:
        flags["warm"] = values["warm"]
        try:
            settings += slot_flags(values["warm_slots"])
        except UsageError as error:
            raise FieldError("warm_slots", str(error).removeprefix("slots: ")) from None
    if settings:
        flags["set"] = settings
    return flags


def _whole(values: Mapping[str, str], name: str) -> int | None:
    text = values[name]
    if text and not text.isdecimal():
        raise FieldError(name, f"write a whole number, not {text!r}")
    return int(text) if text else None


def _params(values: Mapping[str, str], name: str, side: str) -> list[str]:
    """The parameters of a side as values of `--set`."""
    if not values[name]:
        return []
    params, problem = parse_params(values[name])
    if problem is not None:
        raise FieldError(name, problem)
    return [f"{side}.params.{key}={json.dumps(value)}" for key, value in params.items()]
