"""Names that modules of the developer's go by in our process, where their own are taken."""

from __future__ import annotations

import re
from typing import Final

BESIDE: Final = "_convtui_beside_"
"""Before the number of a folder and the name of a module in it."""
PROVIDER: Final = "_convtui_provider_"
"""Before the name of a provider's file."""
_ALIASES: Final = re.compile(rf"\b(?:{BESIDE}\d+_|{PROVIDER})(?=\w)")


def own_names(text: str) -> str:
    """A text about such modules with the names that their developer knows them by."""
    return _ALIASES.sub("", text) if "_convtui_" in text else text
