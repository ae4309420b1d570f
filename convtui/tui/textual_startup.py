"""Leaves out of Textual's start what convtui does not use."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any, Final

PALETTE: Final = "textual.command"
"""Textual's command palette, for which it imports most of its widgets."""
_BASES: Final = (
    "CommandListItem", "CommandPalette", "DiscoveryHit", "Hit", "Hits", "Provider",
    "SimpleProvider",
)  # fmt: skip
"""What Textual's own modules import from it."""


class _StandIn(ModuleType):
    """Takes the place of the palette; anything else that is asked of it comes from the real one."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(PALETTE, None)
        try:
            return getattr(import_module(PALETTE), name)
        finally:
            sys.modules[PALETTE] = self


def leave_out_palette() -> None:
    """Has Textual start without its command palette, if it is not there already.

    `ConvtuiApp` has a palette of its own and turns Textual's off.
    """
    if PALETTE in sys.modules:
        return
    stand_in = _StandIn(PALETTE)
    for name in _BASES:
        setattr(stand_in, name, type(name, (), {"__module__": PALETTE}))
    sys.modules[PALETTE] = stand_in
