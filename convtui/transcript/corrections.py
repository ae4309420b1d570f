"""What a human says about a turn lies over what the rules say; the fold stays what the log says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from convtui.transcript.fault_rules import RULES, SIDES, Fault, faults_of
from convtui.transcript.turns import Flag, Turn

CORRECTABLE: Final[Mapping[str, Flag]] = {
    "role": Flag.ROLE,
    "label": Flag.LABEL,
    "sentinel": Flag.SENTINEL,
    "repeat": Flag.REPEAT,
    "echo": Flag.ECHO,
    "farewell": Flag.FAREWELL,
    "leak": Flag.LEAK,
}
"""The flags that heuristics raise, which can be taken away or added by hand."""
FLAG_WORDS: Final[Mapping[str, str]] = {
    "role": "role inversion",
    "label": "script label",
    "sentinel": "unheard ending",
    "repeat": "repetition",
    "echo": "echo",
    "farewell": "farewell loop",
    "leak": "reasoning leak",
}
NOBODY: Final = "none"
FAULT_LABELS: Final = (*SIDES, NOBODY)
"""What a fault can be labelled by hand."""


class Correction(Protocol):
    """The corrections of one turn."""

    @property
    def flags(self) -> Mapping[str, bool]:
        """Flags by name: True was added by hand, False taken away."""

    @property
    def fault(self) -> str:
        """One of `FAULT_LABELS`; empty leaves it to the rules."""


def noticed_words(entry: Mapping[str, Any]) -> str:
    """What a heuristic noticed, in words: the flag, its rule and what matched. Not safe to show
    as it is: what matched comes from the text."""
    flag, rule = str(entry.get("flag")), str(entry.get("rule") or "rule unknown")
    words = f"{FLAG_WORDS.get(flag, flag)} ({rule})"
    if entry.get("matched"):
        return f"{words}: {entry['matched']!s}"
    count = entry.get("count")
    if isinstance(count, int):
        return f"{words}: {count} farewells in a row"
    ago = entry.get("ago")
    if isinstance(ago, int):
        times = "the time before" if ago == 1 else f"{ago} of its turns ago"
        return f"{words}: as said {times}"
    return words


def corrected_words(correction: Correction) -> list[str]:
    """The corrections in words."""
    parts = [
        f"{FLAG_WORDS.get(name, name)} {'added' if value else 'taken away'} by hand"
        for name, value in correction.flags.items()
    ]
    if correction.fault:
        parts.append(
            "labelled by hand: "
            + (
                "nobody's fault"
                if correction.fault == NOBODY
                else f"the fault of the {correction.fault}"
            )
        )
    return parts


def corrected_flags(turn: Turn, correction: Correction | None) -> int:
    """The turn's flags with the corrections applied."""
    flags = int(turn.flags)
    for name, value in correction.flags.items() if correction is not None else ():
        bit = int(CORRECTABLE.get(name, 0))
        flags = flags | bit if value else flags & ~bit
    return flags


def corrected_faults(turn: Turn, correction: Correction | None) -> tuple[Fault, ...]:
    """The turn's faults with the corrections applied."""
    if correction is None:
        return faults_of(turn)
    if correction.fault == NOBODY:
        return ()
    for side in SIDES:
        if side == correction.fault:
            return (Fault(side, "by-hand", RULES["by-hand"]),)
    return faults_of(turn, corrected_flags(turn, correction))
