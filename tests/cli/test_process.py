"""Behaviour that needs a process of its own: imports, pipes, signals."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WATCH = """
import atexit, sys
from convtui.cli import main
heavy = ("textual", "rich", "litellm", "convtui.engine", "convtui.providers", "convtui.simulators",
         "convtui.models", "convtui.tui")
@atexit.register
def tell():
    found = [name for name in heavy if name in sys.modules]
    sys.stderr.write("IMPORTED " + " ".join(found + LIGHT(sys.modules)) + "\\n")
main(sys.argv[1:])
"""


def imported(*arguments: str, also: tuple[str, ...] = ()) -> list[str]:
    """Which of the heavy packages a command imports."""
    code = f"LIGHT = lambda modules: [n for n in {also!r} if n in modules]\n{WATCH}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("IMPORTED")
    return line.split()[1:]


def test_help_imports_next_to_nothing() -> None:
    assert imported("--help", also=("pydantic", "lark", "yaml", "asyncio")) == []


@pytest.mark.parametrize(
    "arguments",
    [["show", "LOG"], ["runs", "--out", "."], ["check", "LOG"], ["run", "--help"], ["where"]],
)
def test_commands_without_a_screen_import_no_screen_and_no_engine(
    arguments: list[str], log: Path
) -> None:
    assert imported(*(str(log) if word == "LOG" else word for word in arguments)) == []


@pytest.mark.parametrize("arguments", [["runs"], ["where"], ["--theme", "dark", "replay", "-h"]])
def test_what_only_checks_data_is_imported_for_data_only(arguments: list[str]) -> None:
    assert imported(*arguments, also=("pydantic",)) == []


def test_lark_is_imported_for_a_filter_only(log: Path) -> None:
    assert imported("runs", also=("lark",)) == []
    assert imported("runs", "~signal", also=("lark",)) == ["lark"]


@pytest.mark.parametrize("arguments", [["schema", "log"], ["show", "LOG"]])
def test_a_reader_that_goes_away_is_no_error(arguments: list[str], log: Path) -> None:
    given = [str(log) if word == "LOG" else word for word in arguments]
    with subprocess.Popen(
        [sys.executable, "-m", "convtui", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
