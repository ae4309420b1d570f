"""The brief of a responder, and the rules that it has wherever it is written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from convtui.scenario.parts import StrictModel


def _instructions(value: object, info: ValidationInfo) -> object:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise ValueError(f"{_test_case(info)}responder.instructions is required")
    return value


def _followups(value: object, info: ValidationInfo) -> object:
    if value is None and not _test_case(info):
        raise ValueError("responder.max_followups is required, at least 1")
    value = 0 if value is None else value
    if isinstance(value, int) and not isinstance(value, bool) and value < 1:
        raise ValueError(
            f"{_test_case(info)}responder.max_followups must be at least 1, got {value}"
        )
    return value


def _test_case(info: ValidationInfo) -> str:
    """The prefix of messages about a brief: its test case, where it has one."""
    return str((info.context or {}).get("test_case", ""))


def whole_brief(data: object) -> object:
    """A brief with all required keys, so that missing ones are reported by validation."""
    return {"instructions": None, "max_followups": None, **data} if isinstance(data, dict) else data


Instructions = Annotated[
    str, Field(json_schema_extra={"pattern": r"\S"}), BeforeValidator(_instructions)
]
MaxFollowups = Annotated[int, Field(ge=1), BeforeValidator(_followups)]


class ResponderBrief(StrictModel):
    """What a responder is told: it answers, stops or abstains after each provider message."""

    instructions: Instructions
    """What the user knows and wants, and when to stop."""
    max_followups: MaxFollowups
    """Answers it may give at most."""
    model: str | None = None
    """A litellm model; the persona's when left out."""
    decide_with: Literal["auto", "tools", "json"] = "auto"
    """How it gives its decision: by calling a tool, or as a JSON answer of the same contents, for
    models without tools. `auto` calls tools, and asks for JSON when the endpoint refuses them."""

    _whole = model_validator(mode="before")(whole_brief)
