"""Fixed utterances, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import model_validator

from convtui.scenario.parts import at_key
from convtui.scenario.simulators.kind import SAYS_FIRST, PersonaKeys, SimulatorKind


class ScriptedKeys(PersonaKeys):
    """A scripted persona has no keys but the usual; it needs some of them."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.simulator == "scripted" and not self.says_first:
            raise at_key(
                "simulator",
                "a scripted persona needs the key 'script' with a list (or 'opening' or 'task',"
                " and follow_up_prompts in the scenario)",
            )
        return self


def _guess(persona: Mapping[Any, Any], follow_ups: bool) -> bool:
    if isinstance(persona.get("script"), list):
        return True
    first = (persona.get(key) for key in ("opening", "task"))
    says_first = any(isinstance(text, str) and text for text in first)
    return follow_ups and says_first and persona.get("script") is None


KIND = SimulatorKind(
    "scripted",
    "convtui.simulators.scripted:ScriptedSimulator",
    speaks="fixed lines, in order, then ends",
    written="`script: [...]`, or `follow_up_prompts:` in the scenario",
    without_model="the persona is scripted, and this stands in its script.",
    keys=ScriptedKeys,
    guess=_guess,
    says_follow_ups=True,
    needs=SAYS_FIRST,
)
