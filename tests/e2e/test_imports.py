"""What each process imports, seen from inside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from convtui.config.paths import builtin_dir
from tests.builders.waiting import WITHIN
from tests.e2e.terminal import Terminal, children, clean_environment, convtui, until

pytestmark = [pytest.mark.slow, pytest.mark.real_processes]
SAMPLE = builtin_dir("sample_runs") / "clean.jsonl"
ENGINE_SIDE = ("convtui.engine", "convtui.providers", "convtui.simulators", "convtui.models")
_TOLD = """
import atexit, json, os, sys

def tell():
    names = sorted(sys.modules)
    with open(os.path.join(os.environ["TELL_IMPORTS"], f"{os.getpid()}.json"), "w") as file:
        json.dump(names, file)

atexit.register(tell)
"""


def telling(home: Path, **more: str) -> dict[str, str]:
    """An environment in which every Python process writes down its modules when it exits."""
    hook = home / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(_TOLD)
    found = home / "imports"
    found.mkdir(exist_ok=True)
    return clean_environment(home, PYTHONPATH=str(hook), TELL_IMPORTS=str(found), **more)


def modules(home: Path, pid: int) -> set[str]:
    """The modules that a process had at its end."""
    return set(json.loads((home / "imports" / f"{pid}.json").read_text()))


def below(names: set[str], *packages: str) -> list[str]:
    """Those modules that are one of the packages, or in one."""
    return sorted(n for n in names if any(n == p or n.startswith(f"{p}.") for p in packages))


def test_the_screen_of_a_live_run_imports_no_engine(home: Path) -> None:
    environment = telling(home)
    with Terminal(
        convtui("demo", "--out", home / "runs", "--speed", "6"), env=environment, cwd=home
    ) as terminal:
        terminal.until("cancelled?")
        until(lambda: children(terminal.process.pid), "an engine")
        terminal.press("?")
        terminal.until("keys that work here")
        terminal.press("escape")
        until(lambda: "keys that work here" not in terminal.text, "the end of the help")
        for key in (" ", "1", "2", "r"):
            terminal.press(key)
            terminal.quiet(0.1, timeout=1.0)
        terminal.press("q")
        terminal.until("is not over")
        terminal.press("enter")
        assert terminal.wait() == 0
        found = modules(home, terminal.process.pid)
    assert "textual.app" in found
    assert below(found, "litellm", "openai", *ENGINE_SIDE) == []


def test_the_screen_of_a_recording_and_the_picker_import_no_engine(home: Path) -> None:
    environment = telling(home)
    for command in (convtui("replay", SAMPLE), convtui()):
        with Terminal(command, env=environment, cwd=home) as terminal:
            terminal.until("convtui" if command[-1] == "convtui.cli" else "REPLAY")
            terminal.quiet()
            terminal.press("ctrl+q")
            assert terminal.wait() == 0
            found = modules(home, terminal.process.pid)
        assert below(found, "litellm", "openai", *ENGINE_SIDE) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["show", str(SAMPLE)],
        ["show", str(SAMPLE), "--json"],
        ["runs", "--out", str(SAMPLE.parent)],
        ["check", str(SAMPLE)],
        ["themes"],
        ["where"],
        ["run", "--provider", "demo", "--persona", "demo", "--out", "runs"],
    ],
    ids=lambda arguments: arguments[0] + ("-json" if "--json" in arguments else ""),
)
def test_commands_without_a_screen_import_none(home: Path, arguments: list[str]) -> None:
    process = subprocess.Popen(
        convtui(*arguments),
        env=telling(home),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = process.communicate(timeout=WITHIN)
    assert process.returncode == 0, said
    assert below(modules(home, process.pid), "textual", "rich", "litellm", *ENGINE_SIDE) == []


def test_an_engine_without_a_model_imports_neither_litellm_nor_a_screen(home: Path) -> None:
    code = (
        "import sys, asyncio; from convtui.engine.conversation.converse import converse;"
        " from convtui.scenario.scenario import Scenario; from pathlib import Path\n"
        "async def main():\n"
        "    data = {'persona': {'name': 'N', 'script': ['Hello.']}, 'provider': 'demo'}\n"
        "    scenario = Scenario.from_data(data, base=Path('.'))\n"
        "    async for record in converse(scenario, out_dir='runs'):\n"
        "        if record['type'] == 'turn.started' and record['turn'] == 3:\n"
        "            break\n"
        "asyncio.run(main())\n"
    )
    environment = telling(home)
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, cwd=home)
    assert process.wait(WITHIN) == 0
    # httpx brings rich along, where it is installed.
    assert below(modules(home, process.pid), "textual", "litellm", "openai") == []


def test_every_module_can_be_imported_alone(home: Path) -> None:
    package = Path(__file__).resolve().parents[2] / "convtui"
    names = sorted(
        ".".join(file.relative_to(package.parent).with_suffix("").parts)
        for file in package.rglob("*.py")
        if file.stem not in ("__init__", "__main__") and "litellm" not in file.stem
    )
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    before = set(sys.modules)\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *names],
        env={**os.environ, "CONVTUI_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


_FIRST_FRAME = """
import gc, json, sys
from convtui.cli.common import begin_screen
begin_screen()
assert not gc.isenabled()
import convtui.cli, convtui.cli.demo, convtui.cli.debug, convtui.cli.run_settings
import convtui.client.engine_client, convtui.config.settings, convtui.protocol
import convtui.tui.launch, convtui.tui.screens.debugger.screen, convtui.tui.sources.run
import textual.layouts.factory, textual.scrollbar, textual.drivers.linux_driver
json.dump(sorted(sys.modules), sys.stdout)
"""
_AFTERWARDS = (
    "convtui.files.yaml", "convtui.filters", "convtui.log.detail", "convtui.log.reader",
    "convtui.log.tool_uses", "convtui.scenario.provider_spec", "convtui.scenario.scenario",
    "convtui.secrets", "convtui.share", "convtui.text.causes", "convtui.text_checks.reasoning",
    "convtui.tui.screens.debugger.parts", "convtui.tui.screens.debugger.prompts",
    "convtui.tui.screens.dialogs", "convtui.tui.sources.replay",
    "convtui.tui.widgets.inspector.tabs", "convtui.tui.widgets.transcript.marks",
    "convtui.tui.widgets.transcript.turn_lines", "pydantic", "textual.types",
    "textual.widgets._input", "textual.widgets._option_list", "textual.widgets._text_area", "yaml",
)  # fmt: skip


def test_what_a_runs_first_frame_does_not_show_is_imported_after_it(home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FIRST_FRAME],
        env=clean_environment(home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert below(set(json.loads(done.stdout)), *_AFTERWARDS) == []
