"""The kinds of simulated user: one module for each, imported when used.

The module of a kind has a constant `KIND` and is listed in `MODULES`. What speaks for it is in
`convtui/simulators`, where only the engine may look: `KIND` names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from convtui.scenario.simulators.kind import SimulatorKind

MODULES: Final = {
    name: f"convtui.scenario.simulators.{name}"
    for name in ("scripted", "llm", "responder", "demo", "human")
}
"""The module of every kind. The keys of a persona are those of all that are here when
`convtui.scenario.persona` is imported."""
HUMAN: Final = "human"
"""The kind for which nobody speaks but a human, from the beginning."""
_USUAL: Final = "llm"
"""The kind of a persona whose keys tell nothing."""


def kinds() -> Iterator[SimulatorKind]:
    """Every kind."""
    for module in MODULES.values():
        kind: SimulatorKind = import_module(module).KIND
        yield kind


def kind_of(name: str) -> SimulatorKind | None:
    """The kind of this name; None for one that there is not, as a log may name it."""
    if name not in MODULES:
        return None
    kind: SimulatorKind = import_module(MODULES[name]).KIND
    return kind


def guess(persona: Mapping[Any, Any], *, follow_ups: bool = False) -> str:
    """What speaks for a persona that does not say: by the keys it has, the last kind first.

    `follow_ups` tells whether its scenario has follow-up prompts.
    """
    last_first = reversed(list(kinds()))
    return next((kind.name for kind in last_first if kind.guess(persona, follow_ups)), _USUAL)


def written_kind(persona: Any) -> SimulatorKind | None:
    """The kind of a persona as a file or a log holds it; None where it cannot be told."""
    if not isinstance(persona, Mapping):
        return None
    return kind_of(str(persona.get("simulator") or guess(persona)))
