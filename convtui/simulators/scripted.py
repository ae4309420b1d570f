"""Fixed utterances, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from convtui.errors import UserSimulatorError
from convtui.scenario.simulators.kind import PersonaKeys
from convtui.simulators.base import Asked, Casting, EndConversation, Say, UserSimulator, View


class ScriptedSimulator(UserSimulator):
    """Says its script line by line and is done when it is exhausted.

    The position is the number of committed persona turns, not a cursor, so that it also holds
    after rewinds, retries and turns that were taken over. Raises `UserSimulatorError` for an
    empty script.
    """

    def __init__(self, name: str, script: Sequence[str], *, opening: str | None = None) -> None:
        self.name = name
        self._lines = [opening, *script] if opening is not None else list(script)
        if not self._lines:
            raise UserSimulatorError(f"empty script (persona {name})")

    @classmethod
    def of(cls, persona: PersonaKeys, casting: Casting) -> Self:
        """Speaks the persona's script, then the scenario's follow-up prompts."""
        script = persona.script if isinstance(persona.script, list) else []
        opening = persona.opening
        if opening is None and not script:
            opening = persona.task or None
        elif opening == "task":
            opening = persona.task
        return cls(persona.name, [*script, *casting.follow_up_prompts], opening=opening)

    def ask(self, view: View) -> Asked:
        """The next line, or the end."""
        position = view.count_of("persona")
        if position < len(self._lines):
            return Asked(say=Say(self._lines[position]))
        return Asked(say=EndConversation("the script is exhausted"))
