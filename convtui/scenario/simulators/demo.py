"""The built-in persona, which needs no model."""

from __future__ import annotations

from convtui.scenario.simulators.kind import SimulatorKind

KIND = SimulatorKind(
    "demo",
    "convtui.simulators.demo:DemoSimulator",
    speaks="Robin of the built-in demo, without a model",
    written="`simulator: demo`",
    without_model="the built-in demo user speaks without one.",
    asks="persona",
    ignores=("opening", "script"),
)
