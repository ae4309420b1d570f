"""Going on from a log: what its header has without its value is taken from the user's own file."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.errors import ConvtuiError
from convtui.files.regular import is_file
from convtui.scenario.scenario import Scenario
from convtui.secrets.masking import masked_places
from convtui.secrets.names import is_secret_name
from convtui.secrets.public_scenario import public_scenario
from convtui.secrets.redactor import Redactor


@dataclass(frozen=True, slots=True)
class OwnValues:
    """A recorded scenario with its values filled in, and the keys that are still missing."""

    scenario: dict[str, Any]
    missing: tuple[str, ...]

    @property
    def needed(self) -> tuple[str, ...]:
        """The missing keys that the run needs: arguments and addresses of servers."""
        return tuple(
            key
            for key in self.missing
            if key.startswith("tools.") and (".command." in key or key.endswith(".url"))
        )

    @property
    def left_out(self) -> tuple[str, ...]:
        """The missing keys that are left out: parameters and options that are not secrets (those
        come from the environment again), and variables and headers of tool servers (those never
        do: a log must not choose which variable goes to which host)."""
        return tuple(key for key in self.missing if _is_left_out(key.split(".")))

    @property
    def masked(self) -> tuple[str, ...]:
        """The missing keys whose texts are used with `[redacted]` in them."""
        return tuple(
            key
            for key in self.missing
            if key.startswith(("provider.", "persona."))
            and key.split(".")[1] not in ("params", "options")
        )


def _is_left_out(key: Sequence[str]) -> bool:
    if key[1:2] in (["params"], ["options"]):
        return not is_secret_name(key[-1])
    return key[0] == "tools" and key[-2] in ("env", "headers")


def without_values(recorded: Mapping[str, Any]) -> OwnValues:
    """`recorded` unchanged, as for another user's log."""
    plain = copy.deepcopy(dict(recorded))
    return OwnValues(plain, tuple(masked_places(plain)))


def with_own_values(recorded: Mapping[str, Any]) -> OwnValues:
    """`recorded` with the values that were masked, where the scenario file it names has them.

    A part (the provider, the persona, one tool server) is filled only where the whole part is what
    the file says: what was meant for one host is not sent to another.
    """
    filled: dict[str, Any] = copy.deepcopy(dict(recorded))
    if not masked_places(filled):
        return OwnValues(filled, ())
    own = _own(filled)
    if own is not None:
        redactor = Redactor.of_process()
        own.tell(redactor)
        real = own.for_engine()
        shown = public_scenario(real, redactor)
        for part in ("provider", "persona"):
            if part in filled and filled[part] == shown.get(part):
                filled[part] = real[part]
        tools = filled.get("tools")
        if isinstance(tools, list) and isinstance(shown.get("tools"), list):
            for index, tool in enumerate(tools):
                if tool in shown["tools"]:
                    tools[index] = real["tools"][shown["tools"].index(tool)]
    return OwnValues(filled, tuple(masked_places(filled)))


def _own(recorded: Mapping[str, Any]) -> Scenario | None:
    source = recorded.get("source")
    file = source.get("file") if isinstance(source, Mapping) else None
    if not isinstance(file, str) or not is_file(Path(file)):
        return None
    with contextlib.suppress(ConvtuiError):
        return Scenario.load(file)
    return None
