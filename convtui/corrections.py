"""What a human says about a turn lies over what the rules say; the fold stays what the log says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from convtui.faults import RULES, SIDES, Fault, faults_of
from convtui.turns import Flag, Turn

CORRECTABLE: Final[Mapping[str, Flag]] = {
    "role": Flag.ROLE,
    "repeat": Flag.REPEAT,
    "leak": Flag.LEAK,
}
"""The flags that can be taken away or added by hand."""
NOBODY: Final = "none"
FAULT_LABELS: Final = (*SIDES, NOBODY)
"""What a fault can be labelled by hand."""


class Correction(Protocol):
    """What was corrected on one turn."""

    @property
    def flags(self) -> Mapping[str, bool]:
        """Flags by name: True was added by hand, False taken away."""

    @property
    def fault(self) -> str:
        """One of `FAULT_LABELS`; empty leaves it to the rules."""


def corrected_flags(turn: Turn, correction: Correction | None) -> int:
    """The turn's flags with the corrections laid over them."""
    flags = int(turn.flags)
    for name, value in correction.flags.items() if correction is not None else ():
        bit = int(CORRECTABLE.get(name, 0))
        flags = flags | bit if value else flags & ~bit
    return flags


def corrected_faults(turn: Turn, correction: Correction | None) -> list[Fault]:
    """The turn's faults with the corrections laid over them."""
    if correction is None:
        return faults_of(turn)
    if correction.fault == NOBODY:
        return []
    for side in SIDES:
        if side == correction.fault:
            return [Fault(side, "by-hand", RULES["by-hand"])]
    return faults_of(turn, corrected_flags(turn, correction))
