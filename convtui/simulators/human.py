"""A persona that only a human speaks for."""

from __future__ import annotations

from typing import Self

from convtui.errors import UserSimulatorError
from convtui.scenario.simulators.kind import PersonaKeys
from convtui.simulators.base import Asked, Casting, Say, UserSimulator, View


class HumanSimulator(UserSimulator):
    """Says the opening, if there is one. There is no draft to offer after that."""

    def __init__(self, name: str, *, opening: str | None = None) -> None:
        self.name = name
        self._opening = opening

    @classmethod
    def of(cls, persona: PersonaKeys, casting: Casting) -> Self:
        return cls(persona.name, opening=persona.opening)

    def ask(self, view: View) -> Asked:
        """The opening. Raises `UserSimulatorError` after it: only a human can go on."""
        if self._opening is not None and not view.count_of("persona"):
            return Asked(say=Say(self._opening))
        raise UserSimulatorError(
            f"persona {self.name} is played by a human: somebody has to take over"
        )
