"""The program in a real terminal: sizes, quitting, killing, and terminals that can do little."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from convtui.batch.manifest import read_batch
from convtui.config.paths import builtin_dir
from convtui.log.reader import open_log
from tests.e2e.terminal import Terminal, alive, children, clean_environment, convtui, until

pytestmark = pytest.mark.slow
SAMPLE = builtin_dir("sample_runs") / "discarded.jsonl"
_SGR = re.compile(rb"\x1b\[([0-9;:]*)m")


def start(home: Path, *arguments: str | Path, size: tuple[int, int] = (120, 36), **env: str) -> Any:
    """convtui in a terminal."""
    columns, rows = size
    environment = clean_environment(home, **env)
    command = convtui(*arguments)
    return Terminal(command, columns=columns, rows=rows, env=environment, cwd=home)


def demo(home: Path, *, speed: float = 6) -> Any:
    """The demo, with its log in `home/runs`; it is held where its first session would end."""
    return start(home, "demo", "--out", home / "runs", "--speed", str(speed))


def only_log(home: Path) -> Path:
    """The one log in `home/runs`."""
    found = [p for p in (home / "runs").glob("*.jsonl") if not p.name.endswith(".wire.jsonl")]
    assert len(found) == 1, found
    return found[0]


def hues(raw: bytes) -> set[bytes]:
    """The colours in what was written that are no shade of grey."""
    found = set()
    for sequence in _SGR.finditer(raw):
        codes = [int(code or 0) for code in re.split(rb"[;:]", sequence[1])]
        while codes:
            code = codes.pop(0)
            if code in (38, 48) and codes[:1] == [2]:
                if len(set(codes[1:4])) > 1:
                    found.add(sequence[0])
                del codes[:4]
            elif code in (38, 48):
                found.add(sequence[0])
                del codes[:2]
            elif 31 <= code <= 36 or 41 <= code <= 46 or 91 <= code <= 96 or 101 <= code <= 106:
                found.add(sequence[0])
    return found


@pytest.mark.real_processes
@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 16)])
def test_starts_in_every_size(home: Path, size: tuple[int, int]) -> None:
    with start(home, "replay", SAMPLE, size=size) as terminal:
        shown = terminal.until("Robin", "REPLAY", "session")
        assert "Traceback" not in shown
        assert all(len(line) == size[0] for line in terminal.lines)
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_terminal_that_is_too_small_is_told_so_until_it_grows(home: Path) -> None:
    with start(home, "replay", SAMPLE, size=(20, 5)) as terminal:
        terminal.until("make the terminal")
        terminal.resize(80, 24)
        terminal.until("REPLAY")
        terminal.resize(20, 5)
        terminal.until("make the terminal")
        terminal.press("ctrl+q")
        assert terminal.wait() == 0


def test_the_picker_opens_and_leaves(home: Path) -> None:
    with start(home) as terminal:
        terminal.until("convtui")
        terminal.quiet()
        terminal.press("escape", "ctrl+q")
        assert terminal.wait() == 0
        assert b"Traceback" not in terminal.raw


def test_resizing_while_it_runs(home: Path) -> None:
    with demo(home) as terminal:
        terminal.until("cancelled?")
        for columns, rows in [(80, 24), (60, 16), (140, 50), (100, 30)]:
            begin = len(terminal.chunks)
            terminal.resize(columns, rows)
            terminal.until_raw(b"Robin", begin=begin)
            terminal.until_raw(f"\x1b[{rows};1H".encode(), begin=begin)
        assert "Traceback" not in terminal.text


def stage_held(terminal: Terminal) -> str | None:
    """The stage that is shown as held; None if none is, or while it is drawn."""
    match = re.search(r"held at (\S+)", terminal.text)
    return match and match[1]


def test_the_first_keys_pause_and_step(home: Path) -> None:
    with demo(home, speed=1) as terminal:
        terminal.until("RUNNING")
        terminal.press(" ")
        terminal.until("HELD")
        terminal.wait_for(lambda: stage_held(terminal) is not None, "a stage is held")
        first = stage_held(terminal)
        terminal.press("s")
        terminal.wait_for(
            lambda: stage_held(terminal) not in (None, first), "the next stage is held"
        )
        terminal.press(" ")
        terminal.until("RUNNING")


def test_quitting_asks_while_a_run_is_live(home: Path) -> None:
    with demo(home) as terminal:
        terminal.until("cancelled?")
        terminal.press("q")
        terminal.until("is not over")
        terminal.press("escape")
        terminal.until_gone("is not over")
        terminal.press("q")
        terminal.until("is not over")
        terminal.press("enter")
        terminal.until("next: convtui replay", "convtui debug --resume")
        assert terminal.wait() == 0
    with open_log(only_log(home)) as log:
        assert log.findings == []
        assert log.transcript.termination is not None
        assert log.transcript.termination["kind"] == "interrupted"


def test_ctrl_c_copies_first_and_quits_then(home: Path) -> None:
    with start(home, "replay", SAMPLE) as terminal:
        terminal.until("REPLAY")
        terminal.press("ctrl+c")
        terminal.until("ctrl+c again")
        terminal.press("ctrl+c")
        assert terminal.wait() == 0


def engine_of(terminal: Terminal) -> int:
    """The engine process of a debugger."""
    until(lambda: children(terminal.process.pid), "an engine")
    return children(terminal.process.pid)[0]


@pytest.mark.real_processes
def test_a_killed_engine_is_told_and_one_key_goes_on(home: Path) -> None:
    with demo(home) as terminal:
        terminal.until("cancelled?")
        engine = engine_of(terminal)
        os.kill(engine, signal.SIGKILL)
        terminal.until("SIGKILL")
        terminal.press("enter")
        until(lambda: any(pid != engine for pid in children(terminal.process.pid)), "a new engine")
        terminal.until_gone("SIGKILL")
        terminal.until("Robin ->", "cancelled?")
        fresh = engine_of(terminal)
    until(lambda: not alive(fresh), "the engine has gone, too")


@pytest.mark.real_processes
def test_a_killed_screen_leaves_a_closed_log_and_no_process(home: Path) -> None:
    with demo(home) as terminal:
        terminal.until("cancelled?")
        engine = engine_of(terminal)
        terminal.hang_up()
        terminal.wait()
        until(lambda: not alive(engine), "the engine has gone, too")
    with open_log(only_log(home)) as log:
        assert log.findings == []
        assert log.transcript.trailer is not None
        assert log.transcript.trailer["termination"]["kind"] == "interrupted"


def test_a_terminated_screen_says_where_its_log_is(home: Path) -> None:
    with demo(home) as terminal:
        terminal.until("cancelled?")
        os.kill(terminal.process.pid, signal.SIGTERM)
        terminal.until("log:", "next: convtui replay", "convtui debug --resume")
        assert terminal.wait() == 128 + signal.SIGTERM
    with open_log(only_log(home)) as log:
        assert log.findings == []
        assert log.transcript.trailer is not None


def behind_a_leader(*arguments: str | Path) -> list[str]:
    """convtui below a program that leads the terminal's session and does not pass on SIGHUP."""
    leader = "import signal, subprocess, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    # As nohup does it: what a parent ignores, its child ignores.
    return [sys.executable, "-c", f"{leader}; subprocess.call(sys.argv[1:])", *convtui(*arguments)]


@pytest.mark.real_processes
@pytest.mark.parametrize("behind", [False, True])
def test_without_its_terminal_it_ends_in_order(behind: bool, home: Path) -> None:
    arguments = ("demo", "--out", home / "runs", "--speed", "6")
    command = behind_a_leader(*arguments) if behind else convtui(*arguments)
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        terminal.until("cancelled?")
        screen = children(terminal.process.pid)[0] if behind else terminal.process.pid
        (engine,) = children(screen)
        terminal.vanish()
        until(lambda: not alive(screen), "the screen has ended")
        until(lambda: not alive(engine), "the engine has gone, too")
    with open_log(only_log(home)) as log:
        assert log.findings == []
        assert log.transcript.trailer is not None
        assert log.transcript.trailer["termination"]["kind"] == "interrupted"


def test_a_batch_without_its_terminal_can_go_on(home: Path) -> None:
    command = behind_a_leader("batch", "demo", "--new", "--out", home / "runs")
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        terminal.until("running")
        (screen,) = children(terminal.process.pid)
        terminal.vanish()
        until(lambda: not alive(screen), "the screen has ended")
    (folder,) = (home / "runs").iterdir()
    batch = read_batch(folder)
    assert batch.stopped is not None
    assert not batch.finished


def test_a_dumb_terminal_gets_plain_output(home: Path) -> None:
    with start(home, "replay", SAMPLE, TERM="dumb") as terminal:
        assert terminal.wait() == 0
        assert b"\x1b" not in terminal.raw
        assert b"Robin" in terminal.raw
        assert b"no terminal to draw on" in terminal.raw


@pytest.mark.parametrize("command", ["show", "replay"])
def test_a_pipe_gets_plain_output(home: Path, command: str) -> None:
    done = subprocess.run(
        convtui(command, SAMPLE), capture_output=True, env=clean_environment(home), check=True
    )
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"Robin" in done.stdout


def test_no_color_means_no_colour(home: Path) -> None:
    with start(home, "replay", SAMPLE, NO_COLOR="1") as terminal:
        terminal.until("REPLAY")
        terminal.quiet()
        assert hues(terminal.raw) == set()
        terminal.press("?")
        terminal.quiet()
        assert hues(terminal.raw) == set()
    with start(home, "replay", SAMPLE) as terminal:
        terminal.until("REPLAY")
        assert hues(terminal.raw)


def test_an_unwritable_folder_is_said(home: Path) -> None:
    file = home / "file"
    file.write_text("in the way")
    with start(home, "demo", "--out", file / "runs") as terminal:
        terminal.until("cannot be set up", "is a file")
        assert b"Traceback" not in terminal.raw
        terminal.press("escape")
        terminal.quiet()
        terminal.press("q")
        assert terminal.wait() != 0


_IN_THE_SCREEN = b"\x1b[?1049h"


def test_a_scenario_that_is_missing_is_said_without_a_screen(home: Path) -> None:
    command = convtui("debug", "nowhere.yaml")
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        assert terminal.wait() == 2
        assert "nowhere.yaml: there is no such file" in terminal.text
        assert _IN_THE_SCREEN not in terminal.raw


def test_a_mistake_in_a_scenario_is_said_after_the_screen(home: Path) -> None:
    (home / "bad.yaml").write_text("persona: {nam: Ida}\nprovider: demo\n")
    with Terminal(convtui("debug", "bad.yaml"), env=clean_environment(home), cwd=home) as terminal:
        assert terminal.wait() == 2
        _, _, after = terminal.raw.rpartition(b"\x1b[?1049l")
        assert b"bad.yaml:1: persona.nam: unknown key 'nam'" in after
        assert not children(terminal.process.pid)


def test_what_a_task_leaves_open_is_said_after_the_screen(home: Path) -> None:
    (home / "task.yaml").write_text("id: plain\ninputs: {prompt: Hello there}\ngraders: []\n")
    command = convtui("debug", "task.yaml", "--out", home / "runs", "--paused")
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        terminal.until("task.yaml ->")
        terminal.until("HELD")
        assert b"not supported" not in terminal.raw
        terminal.press("q")
        terminal.until("is not over")
        terminal.press("enter")
        assert terminal.wait() == 0
        _, _, after = terminal.raw.rpartition(b"\x1b[?1049l")
        assert b"not supported and left out: graders (line 3)" in after


def test_keys_and_a_new_size_while_it_starts(home: Path) -> None:
    command = convtui("demo", "--out", home / "runs")
    with Terminal(command, env=clean_environment(home), cwd=home) as terminal:
        terminal.until_raw(_IN_THE_SCREEN)
        terminal.resize(80, 24)
        terminal.press("?")
        terminal.until("keys that work here")
        terminal.press("escape")
        terminal.until("cancelled?")
        terminal.press("q")
        terminal.until("is not over")
        terminal.press("enter")
        assert terminal.wait() == 0
