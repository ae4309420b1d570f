"""Makes the user simulator for a persona."""

from __future__ import annotations

from importlib import import_module

from convtui.scenario.persona import Persona
from convtui.simulators.base import Casting, UserSimulator


def load_simulator(persona: Persona, casting: Casting) -> UserSimulator:
    """A new simulator for a persona. Raises `UserSimulatorError` for one that cannot speak."""
    module, _, name = persona.kind.simulator.partition(":")
    kind: type[UserSimulator] = vars(import_module(module))[name]
    simulator = kind.of(persona, casting)
    simulator.kind = persona.simulator
    simulator.termination_signals = list(persona.termination_signals)
    return simulator
