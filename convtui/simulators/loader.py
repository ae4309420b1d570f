"""Makes the user simulator that a persona asks for."""

from __future__ import annotations

from collections.abc import Sequence

from convtui.errors import UserSimulatorError
from convtui.models.base import ModelClients
from convtui.scenario.scenario import Persona
from convtui.simulators.base import Asked, Say, UserSimulator, View
from convtui.simulators.demo import DemoSimulator
from convtui.simulators.llm import LlmSimulator
from convtui.simulators.responder import ResponderSimulator
from convtui.simulators.scripted import ScriptedSimulator


class HumanSimulator(UserSimulator):
    """Nobody speaks for this persona but a human; there is no draft to offer."""

    kind = "human"

    def __init__(self, name: str, *, opening: str | None = None) -> None:
        self.name = name
        self._opening = opening

    def ask(self, view: View) -> Asked:
        """The opening, if there is one; after that only a human can go on."""
        if self._opening is not None and not view.count_of("persona"):
            return Asked(say=Say(self._opening))
        raise UserSimulatorError(
            f"persona {self.name} is played by a human: somebody has to take over"
        )


def _responder(persona: Persona, models: ModelClients) -> ResponderSimulator:
    brief = persona.responder
    if brief is None:
        raise UserSimulatorError(f"persona {persona.name} is a responder without a brief")
    model = brief.model or persona.model
    if not model:
        raise UserSimulatorError(
            f"persona {persona.name} needs a model: `model:` in the brief or the persona, or"
            " --user-model"
        )
    opening = persona.opening if persona.opening not in (None, "task") else persona.task
    return ResponderSimulator(
        persona.name,
        models.client(model, persona.params),
        instructions=brief.instructions,
        max_followups=brief.max_followups,
        opening=opening or "",
        decide_with=brief.decide_with,
    )


def load_simulator(
    persona: Persona,
    models: ModelClients,
    *,
    follow_up_prompts: Sequence[str] = (),
    global_signal: str = "",
    speed: float = 1.0,
) -> UserSimulator:
    """A new simulator for a persona. Raises `UserSimulatorError` for one that cannot speak."""
    simulator: UserSimulator
    if persona.simulator == "demo":
        simulator = DemoSimulator(name=persona.name, speed=speed)
    elif persona.simulator == "human":
        simulator = HumanSimulator(persona.name, opening=persona.opening)
    elif persona.simulator == "scripted" or follow_up_prompts:
        script = persona.script if isinstance(persona.script, list) else []
        opening = persona.opening
        if opening is None and not script:
            opening = persona.task or None
        elif opening == "task":
            opening = persona.task
        simulator = ScriptedSimulator(persona.name, [*script, *follow_up_prompts], opening=opening)
    elif persona.simulator == "llm":
        if not persona.model:
            raise UserSimulatorError(
                f"persona {persona.name} needs a model: `model:` in the persona, or --user-model"
            )
        simulator = LlmSimulator(
            persona.name,
            models.client(persona.model, persona.params),
            prompt=persona.prompt or persona.name,
            task=persona.task,
            template=persona.template,
            opening=persona.opening,
            lead=persona.script if isinstance(persona.script, list) else (),
            fixed=persona.script if isinstance(persona.script, dict) else None,
            end_sentinel=persona.end_sentinel,
            sentinel_keeps_text=persona.sentinel_keeps_text,
            global_signal=global_signal,
            reminder=persona.reminder,
        )
    else:
        simulator = _responder(persona, models)
    simulator.termination_signals = list(persona.termination_signals)
    return simulator
