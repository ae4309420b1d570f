"""convtui: a terminal debugger for conversations between a simulated user and an LLM provider.

The names below are the Python interface; each is imported when it is first used, so that
`import convtui` costs nothing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m convtui.cli` has put the working directory before our own packages: a file yaml.py
    # there would be ours. Who is started another way has said what it wants on the path.
    del sys.path[0]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from convtui.engine.conversation.converse import converse
    from convtui.engine.tools.base import serial_tool
    from convtui.errors import ConvtuiError, TransientProviderError, UserSimulatorError
    from convtui.log.reader import open_log
    from convtui.models.base import Delta, Reply, Usage
    from convtui.providers.base import Provider, Request, SignalMatch
    from convtui.scenario.persona import Persona
    from convtui.scenario.scenario import Scenario
    from convtui.transcript.fold import Transcript

_HOMES = {
    "ConvtuiError": "convtui.errors",
    "Delta": "convtui.models.base",
    "Persona": "convtui.scenario.persona",
    "Provider": "convtui.providers.base",
    "Reply": "convtui.models.base",
    "Request": "convtui.providers.base",
    "Scenario": "convtui.scenario.scenario",
    "SignalMatch": "convtui.providers.base",
    "Transcript": "convtui.transcript.fold",
    "TransientProviderError": "convtui.errors",
    "Usage": "convtui.models.base",
    "UserSimulatorError": "convtui.errors",
    "converse": "convtui.engine.conversation.converse",
    "open_log": "convtui.log.reader",
    "serial_tool": "convtui.engine.tools.base",
}

__all__ = [
    "ConvtuiError",
    "Delta",
    "Persona",
    "Provider",
    "Reply",
    "Request",
    "Scenario",
    "SignalMatch",
    "Transcript",
    "TransientProviderError",
    "Usage",
    "UserSimulatorError",
    "converse",
    "open_log",
    "serial_tool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'convtui' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
