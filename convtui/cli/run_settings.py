"""What is known of a run before its scenario is read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from convtui.cli.common import settings
from convtui.config.settings import Config
from convtui.errors import UsageError

DEFAULT_SCENARIO: Final = "scenario.yaml"


def settings_of(flags: Mapping[str, Any]) -> Config:
    """All settings, those set by flags of a run included. Raises `UsageError`."""
    return settings(
        out_dir=flags.get("out"),
        python=interpreter(flags.get("python")),
        env_file=flags.get("env_file"),
        wire=flags.get("wire"),
        theme=flags.get("theme"),
    )


def interpreter(text: str | None) -> str | None:
    """The absolute path of the program that `--python` names. Raises `UsageError`."""
    if text is None:
        return None
    program = shutil.which(text)
    if program is None:
        raise UsageError(f"--python {text}: there is no such program")
    return str(Path(program).absolute())
