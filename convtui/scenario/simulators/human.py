"""A persona that a human plays."""

from __future__ import annotations

from convtui.scenario.simulators.kind import SimulatorKind

KIND = SimulatorKind(
    "human",
    "convtui.simulators.human:HumanSimulator",
    speaks="you",
    written="`simulator: human`, or `t` at any time",
    without_model="a human speaks for the persona.",
    ignores=("script",),
)
