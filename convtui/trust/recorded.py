"""The scenario that a log's header has, for running it again or going on with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convtui.errors import UsageError
from convtui.scenario.scenario import Scenario
from convtui.trust.rules import own_scenario


def recorded_scenario(header: Mapping[str, Any], log: str) -> tuple[Scenario, list[str]]:
    """A log's scenario, and notes on values that the log was written without.

    Raises `UsageError` if it cannot run without them.
    """
    if not isinstance(header.get("scenario"), dict):
        raise UsageError(f"{log}: the log does not say which scenario it ran; name it")
    own = own_scenario(header)
    if own.needed:
        raise UsageError(
            f"{log}: the log was written without {own.needed[0]}, and the scenario file it"
            " names does not have it; give the scenario file that does"
        )
    notes = [
        f"{key} is not in the log ([redacted]) and is left out: give it with --set, or name it"
        " under log_values before a run"
        for key in own.left_out
    ] + [
        f"{key} had a secret in it, and goes on with [redacted] in its place; give the scenario"
        " file, or the text with --set"
        for key in own.masked
    ]
    return Scenario.from_public(own.scenario), notes
