"""Textual without its command palette; a canary for new versions of it."""

from __future__ import annotations

import json
import subprocess
import sys

_PROBE = """
import json, sys
from convtui.tui.textual_startup import leave_out_palette
leave_out_palette()
stand_in = sys.modules["textual.command"]
import textual.app, textual.screen, textual.system_commands, textual.theme
from textual.screen import Screen
here = sys.modules["textual.command"] is stand_in
cheap = "textual.widgets._input" not in sys.modules
from textual.command import Command
leave_out_palette()
json.dump([here, cheap, Command.__module__, textual.app.App.ENABLE_COMMAND_PALETTE], sys.stdout)
"""


def probed(code: str) -> object:
    """What a process of its own prints as JSON: here Textual is imported long since."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_textual_starts_without_its_palette_and_the_rest_of_it_can_be_had() -> None:
    assert probed(_PROBE) == [True, True, "textual.command", True]


def test_a_palette_that_is_there_stays() -> None:
    code = (
        "import json, sys, textual.command as real;"
        " from convtui.tui.textual_startup import leave_out_palette; leave_out_palette();"
        " json.dump(sys.modules['textual.command'] is real, sys.stdout)"
    )
    assert probed(code) is True
