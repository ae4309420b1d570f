"""A model that plays the persona."""

from __future__ import annotations

from typing import Self

from pydantic import field_validator, model_validator

from convtui.scenario.parts import at_key
from convtui.scenario.simulators.kind import (
    PersonaKeys,
    SimulatorKind,
    contradicts_follow_ups,
    given,
)


class LlmKeys(PersonaKeys):
    """Who the model plays, and how it says that it is done."""

    prompt: str | None = None
    """Who an llm persona is."""
    template: str | None = None
    """The system prompt of an llm persona; `{persona}` and `{task}` are replaced once."""
    end_sentinel: str = "<end>"
    """What an llm persona writes when it is done."""
    sentinel_keeps_text: bool = False
    """Whether the text around the sentinel is said before the session ends."""
    reminder: str | None = None
    """Put before the last provider message in an llm persona's request."""

    @field_validator("end_sentinel")
    @classmethod
    def _sentinel(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("an empty end_sentinel would match everything; leave the key out")
        return value

    @model_validator(mode="after")
    def _fixed_turns_fit(self) -> Self:
        if isinstance(self.script, dict) and self.simulator != "llm":
            raise at_key(
                "script",
                "a mapping fixes single turns of an llm persona, not of a"
                f" {self.simulator} one; write a list of utterances",
            )
        return self


def _no_follow_ups(persona: PersonaKeys) -> str:
    if persona.guessed and persona.script is None:
        return (
            "follow_up_prompts come after the persona's opening: give it 'opening' (or 'task',"
            " said as it stands)"
        )
    return contradicts_follow_ups(persona)


KIND = SimulatorKind(
    "llm",
    "convtui.simulators.llm:LlmSimulator",
    speaks="a model that plays the persona",
    written="`prompt:` and `model:`",
    without_model="this text was written down beforehand (an opening, or a turn of a script).",
    keys=LlmKeys,
    inert=("prompt", "template", "end_sentinel", "sentinel_keeps_text", "reminder"),
    model_keys=("model",),
    asks="persona",
    model_opens=True,
    no_follow_ups=_no_follow_ups,
    only=given("script", "object"),
)
