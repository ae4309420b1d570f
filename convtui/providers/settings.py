"""A scenario's settings for its provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, frozen=True)
class ProviderSettings:
    """As the scenario has them; None where it says nothing."""

    system_prompt: str | None = None
    model: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    speed: float = 1.0
    first_message: str | None = None
    start_prompt: str | None = None
    opening_prompt: str | None = None
    """The prompt for a persona that speaks first; None if its opening is fixed."""
