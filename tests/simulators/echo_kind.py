"""A kind of simulated user that convtui lacks: it repeats the last message, a few times."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from convtui.scenario.parts import StrictModel, at_key
from convtui.scenario.simulators.kind import PersonaKeys, SimulatorKind, given
from convtui.simulators.base import Asked, Casting, EndConversation, Say, UserSimulator, View


class Echo(StrictModel):
    """How an echo persona repeats."""

    times: int = Field(ge=1)
    """How many messages it repeats."""


class EchoKeys(PersonaKeys):
    """What an echo persona has beside the usual keys."""

    echo: Echo | None = None
    """Makes it repeat what it hears."""

    @model_validator(mode="after")
    def _echo_fits(self) -> Self:
        if (self.echo is not None) != (self.simulator == "echo"):
            raise at_key("echo", "echo is for simulator: echo, which needs it")
        return self


KIND = SimulatorKind(
    "echo",
    f"{__name__}:EchoSimulator",
    speaks="what the provider said, again",
    written="`echo: {times: 2}`",
    without_model="an echo needs none.",
    keys=EchoKeys,
    inert=("echo.times",),
    guess=lambda persona, follow_ups: persona.get("echo") is not None,
    only=given("echo", "object"),
    needs=given("echo", "object"),
)


class EchoSimulator(UserSimulator):
    """Opens with its task, then repeats the provider."""

    def __init__(self, name: str, opening: str, times: int) -> None:
        self.name = name
        self._opening = opening
        self._times = times

    @classmethod
    def of(cls, persona: EchoKeys, casting: Casting) -> Self:
        """Repeats as often as the persona's keys say."""
        assert persona.echo is not None
        return cls(persona.name, persona.task, persona.echo.times)

    def ask(self, view: View) -> Asked:
        """The opening, then the provider's last words, then the end."""
        heard = view.last_of("provider")
        if view.count_of("persona") > self._times:
            return Asked(say=EndConversation("it has repeated enough"))
        return Asked(say=Say(heard.text if heard is not None else self._opening))
