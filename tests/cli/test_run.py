"""`convtui run` with real engines: exit codes, output, signals, resuming."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convtui.log.reader import open_log
from tests.builders.waiting import WITHIN
from tests.cli.conftest import Result, Run

DEMO = ("run", "--provider", "demo", "--persona", "maya", "--sessions", "a", "--max-turns", "4")
CODE = '''
import time

def boom(messages):
    """Fails in the developer's own code."""
    raise KeyError("nope")

def slow(messages):
    print("thinking", flush=True)
    time.sleep(30)
    return "done"

def echo(messages):
    print("called")
    return "You said: " + messages[-1]["content"]

def hollow(messages):
    return "..."
'''


@pytest.fixture
def process() -> Run:
    """Runs the command line in a process of its own."""

    def run(*arguments: str | Path) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "convtui.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A file of small providers."""
    path = tmp_path / "bot.py"
    path.write_text(CODE)
    return path


def log_of(err: str) -> Path:
    """The log that the last line on standard error names."""
    return Path(err.splitlines()[-1])


def test_a_run_prints_its_turns_and_its_log(process: Run, convtui: Run, home: Path) -> None:
    code, out, err = process(*DEMO)
    assert code == 0
    assert "1:1 persona: Hi, my ferry was cancelled" in out
    assert "conversation ended: turn limit reached at turn" in out
    log = log_of(err)
    assert err == f"{log}\n"
    assert log.parent == home / "data" / "runs"
    assert convtui("check", log).code == 0
    # How long it ran is known when it is over.
    assert convtui("show", log).out.replace("  ran 00:00", "") == out


def test_json_is_all_there_is_on_stdout(convtui: Run, tmp_path: Path) -> None:
    code, out, err = convtui(*DEMO, "--json", "--out", tmp_path / "logs")
    data = json.loads(out)
    assert code == data["exit_code"] == 0
    assert Path(data["log"]) == log_of(err)
    assert Path(data["log"]).parent == tmp_path / "logs"
    assert [(s["index"], s["skipped"]) for s in data["sessions"]][-1][1] is None
    assert data["termination"]["kind"] == "max_turns"
    assert data["totals"]["provider"]["calls"] >= 1
    with open_log(data["log"]) as log:
        assert log.transcript.id == data["id"]


def test_debug_prints_stages_on_stderr(convtui: Run) -> None:
    _, out, err = convtui(*DEMO, "--debug")
    assert "extract_signals" not in out
    for hook in ("setup", "prepare_sessions", "enter_session", "extract_signals", "cleanup"):
        assert f"{hook} " in err
    assert log_of(err).exists()


def test_in_process(process: Run, bot: Path) -> None:
    code, out, err = process("run", "--provider", f"{bot}:echo", "--max-turns", "2", "--in-process")
    assert code == 0
    assert "You said: " in out
    assert log_of(err).exists()


def test_a_failing_provider_is_3_with_its_own_frames(convtui: Run, bot: Path) -> None:
    code, out, err = convtui("run", "--provider", f"{bot}:boom", "--persona", "maya")
    assert code == 3
    assert f"{bot}:6 in boom" in out
    assert "convtui/" not in out
    assert "conversation ended: failed by provider at turn 2: KeyError: 'nope'" in out
    assert log_of(err).exists()


@pytest.mark.parametrize(
    ("spec", "message"),
    [("xyz", "It has boom, slow, echo and hollow."), ("ech", "did you mean 'echo'?")],
)
def test_a_provider_that_is_not_there_is_2(
    convtui: Run, bot: Path, spec: str, message: str
) -> None:
    code, out, err = convtui("run", "--provider", f"{bot}:{spec}")
    assert (code, out) == (2, "")
    assert message in err


def test_a_file_that_cannot_be_imported_is_2(convtui: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def f(messages)\n  return 1\n")
    code, out, err = convtui("run", "--provider", f"{bad}:f")
    assert (code, out) == (2, "")
    assert f"{bad}:1" in err
    assert "SyntaxError" in err


def test_what_would_pause_ends_the_run_or_goes_on(convtui: Run, bot: Path) -> None:
    common = ("run", "--provider", f"{bot}:hollow", "--persona", "maya", "--max-turns", "2")
    code, out, _ = convtui(*common)
    assert code == 3
    assert "conversation ended: interrupted" in out
    code, out, _ = convtui(*common, "--on-pause", "continue")
    assert code == 0
    assert "empty reply" in out


def test_resume_goes_on_in_a_new_log(convtui: Run, bot: Path) -> None:
    common = ("run", "--provider", f"{bot}:echo", "--persona", "maya")
    _, _, err = convtui(*common, "--max-turns", "2")
    parent = log_of(err)
    code, out, err = convtui("run", "--resume", parent, "--max-turns", "4")
    assert code == 0
    child = log_of(err)
    assert child != parent
    assert "resume of " in out
    with open_log(child) as log:
        assert log.transcript.header["parents"][0]["id"] in str(out)
        assert sum(turn.status == "committed" for turn in log.transcript.turns) == 4


def test_resume_says_what_the_log_does_not_have(convtui: Run, tmp_path: Path) -> None:
    path = tmp_path / "moody.py"
    path.write_text(
        "class Bot:\n"
        "    def __init__(self, mood='none', api_key=''): self.mood = mood\n"
        "    def generate_response(self, messages): return 'I am ' + self.mood\n"
    )
    options = ("--set", 'provider.options={"mood": "grumpy", "api_key": "mine-alone-1"}')
    common = ("run", "--provider", f"{path}:Bot", "--persona", "maya", *options)
    _, out, err = convtui(*common, "--max-turns", "2")
    assert "I am grumpy" in out
    parent = log_of(err)
    assert "mine-alone-1" not in parent.read_text()
    again = ("run", "--resume", parent, "--max-turns", "4")
    _, out, err = convtui(*again)
    assert "convtui: provider.options.mood is not in the log ([redacted])" in err
    assert "api_key" not in err
    assert "I am none" in out
    _, out, err = convtui(*common, "--max-turns", "2", "--set", "log_values=[mood]")
    parent = log_of(err)
    _, out, err = convtui("run", "--resume", parent, "--max-turns", "4")
    assert "is not in the log" not in err
    assert "I am grumpy" in out
    assert "I am none" not in out


def test_demo_and_debug_run_without_a_terminal(process: Run, bot: Path) -> None:
    code, out, err = process("demo")
    assert code in (0, 3)
    assert err.startswith("convtui: no terminal to draw on, so the demo runs without one")
    assert "conversation ended" in out
    code, out, err = process("debug", "--provider", f"{bot}:echo", "--max-turns", "2")
    assert code == 0
    assert "as `convtui run` does" in err.splitlines()[0]


def started(bot: Path) -> subprocess.Popen[str]:
    """A run that is in the middle of a slow call."""
    arguments = ("run", "--provider", f"{bot}:slow", "--persona", "maya")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "convtui.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("1:1 persona"):
            break
    # The turn is printed when it is committed; the call begins right after.
    time.sleep(0.2)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_log_and_exits_with_130(bot: Path, number: int) -> None:
    process = started(bot)
    process.send_signal(number)
    out, err = process.communicate(timeout=WITHIN)
    assert process.returncode == 130
    assert "conversation ended: interrupted by human" in out
    assert f"to go on: convtui run --resume {log_of(err)}\n" in err
    with open_log(log_of(err)) as log:
        assert log.findings == []
        assert log.transcript.termination is not None
        assert log.transcript.termination["kind"] == "interrupted"
        assert log.transcript.termination["by"] == "human"


def test_nothing_heavy_is_imported_by_run(bot: Path) -> None:
    code = (
        "import sys, atexit; from convtui.cli import main;"
        "atexit.register(lambda: sys.stderr.write(' '.join(m for m in ('textual', 'litellm',"
        " 'convtui.engine', 'convtui.providers', 'convtui.tui') if m in sys.modules)));"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *DEMO], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert log_of(done.stderr).exists()
