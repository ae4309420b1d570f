"""Files of environment variables (`--env-file`)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

from convtui.errors import FileError
from convtui.files.near import no_file
from convtui.files.regular import is_file

_WHAT: Final = "file of environment variables"


def check_env_file(env_file: str | None) -> None:
    """Raises `FileError` for one that is named and no file."""
    if env_file and not is_file(Path(env_file)):
        raise FileError(no_file(Path(env_file), what=_WHAT))


def read_env_file(env_file: str) -> dict[str, str]:
    """The variables of a file. Raises `FileError`, `DataFileError` for what is not UTF-8."""
    from dotenv import dotenv_values

    from convtui.files.yaml import read_text

    check_env_file(env_file)
    variables = dotenv_values(stream=io.StringIO(read_text(Path(env_file))), interpolate=False)
    return {name: value for name, value in variables.items() if value is not None}
