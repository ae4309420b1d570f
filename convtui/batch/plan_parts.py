"""The parts of a plan file: what varies, the budget of all, attempts, when to stop."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import Field, PlainValidator, field_validator, model_validator

from convtui.errors import FilterError
from convtui.files.validation import kind_of, shown
from convtui.filters.filter import parse
from convtui.scenario.flags import unknown_key
from convtui.scenario.merge import settable_keys
from convtui.scenario.parts import StrictModel, at_key, not_blank


def key_path(key: str) -> tuple[str, ...]:
    """The parts of a dotted key."""
    return tuple(part.strip() for part in key.split("."))


MOST_AT_ONCE: Final = 10_000
_OWN_KEYS: Final = {"persona": "vary.persona", "sessions": "vary.sessions"}
"""Keys of a scenario that have a list of their own in a plan."""
_SPECS: Final = ("persona", "provider")
GROUPED_DIGITS: Final = r"^\d{1,3}(_\d{3})+$"


def _some(value: object, what: str) -> str | dict[str, Any]:
    """A SPEC or a mapping, not empty."""
    if not isinstance(value, (str, dict)):
        raise ValueError(f"must be a {what} SPEC or a mapping of its keys")
    if not value or (isinstance(value, str) and not value.strip()):
        raise ValueError("must not be empty")
    return value


def _session_list(value: object) -> list[str]:
    if isinstance(value, str):
        raise ValueError(
            f"each entry is a list of session types: write [{value}], or [[{value}, ...]] for one"
            " list of several"
        )
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError(
            "each entry is a list of session types, as in [[intake, refund], [refund]]"
        )
    for each in value:
        not_blank(each)
    return value


def _settings(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(
            "each entry is a mapping of a scenario's dotted keys to values, as in"
            " {provider.params.temperature: 0.2}"
        )
    keys = settable_keys()
    for key in value:
        path = key_path(str(key))
        problem = unknown_key(path, keys) if all(path) else "a part of the key is empty"
        instead = _OWN_KEYS.get(str(key)) or ("vary.provider" if key == "provider" else None)
        if instead is not None:
            problem = f"several of them stand in {instead}"
        if problem is not None:
            raise at_key(str(key), problem)
    return {str(key): each for key, each in value.items()}


def _at_once(value: object) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number or auto, not {shown(value)}")
    if not 1 <= value <= MOST_AT_ONCE:
        bound = "at least 1" if value < 1 else f"at most {MOST_AT_ONCE}"
        raise ValueError(f"must be {bound}, not {value}")
    return value


def _scenario(value: object) -> str | dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise ValueError(f"must be a file or a mapping of a scenario's keys, not {kind_of(value)}")
    return not_blank(value)


AtOnce = Annotated[
    int | Literal["auto"],
    PlainValidator(
        _at_once,
        json_schema_input_type=Annotated[int, Field(ge=1, le=MOST_AT_ONCE)] | Literal["auto"],
    ),
]
ScenarioEntry = Annotated[
    str | dict[str, Any] | None,
    PlainValidator(_scenario, json_schema_input_type=str | dict[str, Any] | None),
]
PersonaEntry = Annotated[
    Any,
    PlainValidator(
        lambda value: _some(value, "persona"), json_schema_input_type=str | dict[str, Any]
    ),
]
ProviderEntry = Annotated[
    Any,
    PlainValidator(
        lambda value: _some(value, "provider"), json_schema_input_type=str | dict[str, Any]
    ),
]
SessionsEntry = Annotated[Any, PlainValidator(_session_list, json_schema_input_type=list[str])]
SetEntry = Annotated[Any, PlainValidator(_settings, json_schema_input_type=dict[str, Any])]


class Vary(StrictModel):
    """What differs between cells: every combination of the entries is one."""

    persona: list[PersonaEntry] | None = Field(None, min_length=1)
    """Personas: built-in names, files, globs of files (personas/*.yaml), rows of a table
    (personas.tsv:Anna), all of them (personas.tsv:*), or mappings."""
    provider: list[ProviderEntry] | None = Field(None, min_length=1)
    """Provider SPECs, or mappings of a scenario's `provider` keys."""
    sessions: list[SessionsEntry] | None = Field(None, min_length=1)
    """Lists of session types."""
    set: list[SetEntry] | None = Field(None, min_length=1)
    """Mappings of a scenario's dotted keys to values: {provider.params.temperature: 0.2}."""

    @model_validator(mode="before")
    @classmethod
    def _one_is_a_list(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {
            key: [value]
            if isinstance(value, dict) or (isinstance(value, str) and key in _SPECS)
            else value
            for key, value in data.items()
            if value is not None
        }


class BatchBudget(StrictModel):
    """What all conversations of a batch may use together."""

    tokens: int | None = Field(None, ge=1)
    """Tokens of both sides; 5_000_000 is a number, too."""
    cost: float | None = Field(None, gt=0)
    """US dollars, of both sides."""
    on_exceeded: Literal["stop", "warn"] = "stop"
    """stop starts no new conversation, those that run come to their end; warn only says so."""

    @field_validator("tokens", mode="before")
    @classmethod
    def _in_groups(cls, value: object) -> object:
        grouped = isinstance(value, str) and re.match(GROUPED_DIGITS, value)
        return int(value.replace("_", "")) if grouped and isinstance(value, str) else value


class Attempts(StrictModel):
    """Trying a conversation again that ended badly."""

    max: int = Field(3, ge=1, le=100)
    """Attempts in all, the first included."""
    when: str = "~end failed"
    """A filter: an ending that matches is tried again."""
    reflect: bool = False
    """Whether a model is asked what to do otherwise; its answer goes into the next attempt's system
    prompt."""
    model: str | None = None
    """The model that reflects; the provider's own when left out."""

    @field_validator("when")
    @classmethod
    def _is_filter(cls, value: str) -> str:
        not_blank(value)
        try:
            parse(value)
        except FilterError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _somebody_reflects(self) -> Attempts:
        if self.model is not None and not self.reflect:
            raise at_key("model", "a model is asked only with `reflect: true`")
        return self


class StopAfter(StrictModel):
    """When a batch starts no more conversations."""

    failed: int = Field(ge=1)
    """Conversations that failed: a broken provider is noticed early."""
