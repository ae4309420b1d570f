"""Real engine processes whose provider does what no provider should.

What it can do without breaking the engine is done turn after turn in one conversation. What breaks
the engine has an engine of its own: the state is named, the log is whole or named as crashed,
nothing that was started is left, and the next conversation is like any other.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from convtui.cli import headless
from convtui.cli.headless import Conductor
from convtui.client.engine_client import EngineHandle, EngineState, last_words
from convtui.log.reader import open_log
from convtui.printing.printer import Printer
from convtui.protocol import ContinueFrom, StartSpec
from convtui.scenario.scenario import Scenario
from convtui.trust.rules import vouched_for
from tests.builders.waiting import WITHIN

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes as Linux has them"),
]
HEAD = """
import asyncio, os, signal, subprocess, sys, threading, time

STARTED = __file__ + ".pids"

def started(pid):
    with open(STARTED, "a") as file:
        file.write(f"{pid}\\n")

def bad(*args, **named):
    raise RuntimeError("replaced")
"""
ACTS = (
    HEAD
    + """
import atexit, faulthandler, gc, locale, logging, multiprocessing, resource, warnings

def fork_a_child_that_lives():
    child = os.fork()
    if not child:
        while True:
            time.sleep(60)
    started(child)

def fork_a_child_that_comes_back():
    child = os.fork()
    if child:
        started(child)

def fork_a_child_that_raises():
    child = os.fork()
    if not child:
        raise SystemExit(3)
    started(child)

def fork_a_child_that_prints():
    child = os.fork()
    if not child:
        print("printed by a child")
        os._exit(0)
    os.waitpid(child, 0)

def fork_as_multiprocessing_does():
    process = multiprocessing.get_context("fork").Process(target=print, args=("by a worker",))
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode

def become_a_daemon():
    child = os.fork()
    if not child:
        os.setsid()
        if not os.fork():
            started(os.getpid())
            while True:
                time.sleep(60)
        os._exit(0)
    os.waitpid(child, 0)

def start_programs():
    for own_session in (False, True):
        started(subprocess.Popen(["sleep", "600"], start_new_session=own_session).pid)

def leave_threads():
    for daemon in (True, False):
        threading.Thread(target=time.sleep, args=(600,), daemon=daemon).start()

def leave_threads_that_print():
    def spin():
        while True:
            print("x")
            time.sleep(0.001)
    threading.Thread(target=spin).start()

def print_20_megabytes():
    line = "x" * 99 + "\\n"
    for stream in (sys.stdout, sys.stderr):
        for _ in range(100):
            stream.write(line * 1000)

def print_20_megabytes_without_a_line_end():
    sys.stdout.write("x" * 20_000_000)

def print_bytes_that_are_no_text():
    data = bytes(range(256)) * 4096
    for _ in range(5):
        os.write(1, data)
        os.write(2, data)
        sys.stdout.buffer.write(data)

def change_the_folder():
    os.chdir("/")

def change_the_umask():
    os.umask(0)

def empty_the_environment():
    os.environ.clear()

def change_locale_and_time_zone():
    os.environ["TZ"] = "Asia/Kathmandu"
    time.tzset()
    locale.setlocale(locale.LC_ALL, "C")

def handle_signals():
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))

def register_hooks_that_hang():
    atexit.register(time.sleep, 600)
    sys.excepthook = threading.excepthook = lambda *args: os._exit(9)

def empty_sys_modules():
    kept = ("builtins", "sys", __name__)
    for name in list(sys.modules):
        if name not in kept:
            del sys.modules[name]
    sys.path.clear()
    sys.meta_path.clear()

def close_the_streams():
    for stream in (sys.stdout, sys.stderr):
        stream.close()

def take_the_streams_away():
    sys.stdout = sys.stderr = sys.stdin = None

def close_the_standard_descriptors():
    for fd in (0, 1, 2):
        os.close(fd)

def allow_no_more_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))

def disable_what_helps():
    faulthandler.disable()
    gc.disable()
    logging.disable()
    warnings.simplefilter("error")
    sys.setrecursionlimit(200)

async def bot(messages):
    globals()[messages[-1]["content"]]()
    return "done"
"""
)
NAMES = re.findall(r"^def ((?!started|bad)\w+)\(\):", ACTS, re.MULTILINE)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    # Folders are given as they are typed: relative to this one.
    monkeypatch.chdir(tmp_path)


def spec(folder: str, body: str, script: list[str] | None = None, **limits: Any) -> StartSpec:
    """A conversation with `bot` of a file with this body, its log in `folder/runs`."""
    file = Path(folder) / "bot.py"
    file.parent.mkdir()
    file.write_text(HEAD + dedent(body))
    script = script or ["hello", "and?"]
    scenario = Scenario.from_data(
        {
            "persona": {"name": "Maya", "script": script},
            "provider": f"{file.absolute()}:bot",
            "limits": {"max_turns": 2 * len(script) + 2, "turn_timeout": 20, **limits},
        },
        base=Path.cwd(),
    )
    return StartSpec(scenario=scenario.for_engine(), out_dir=f"{folder}/runs", wire="off")


def alive(pid: int) -> bool:
    """Whether a process runs (a dead one that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def all_gone(folder: str) -> list[int]:
    """Waits until no process is left that the provider has started; returns them."""
    file = Path(folder) / "bot.py.pids"
    pids = [int(line) for line in file.read_text().split()] if file.exists() else []
    async with asyncio.timeout(WITHIN):
        while any(map(alive, pids)):
            await asyncio.sleep(0.02)
    return pids


async def conversation(what: StartSpec) -> EngineHandle:
    """Runs it to its end, within a time that none takes."""
    handle = EngineHandle()
    try:
        await asyncio.wait_for(handle.start(what, wait=False), WITHIN)
        await asyncio.wait_for(handle.wait(), WITHIN)
    finally:
        handle.kill()
    await last_words(handle)
    return handle


def replies(handle: EngineHandle) -> list[str]:
    return [t.text for t in handle.transcript.turns
            if t.speaker == "provider" and t.status == "committed"]  # fmt: skip


def findings(handle: EngineHandle) -> list[str]:
    assert handle.log_path is not None
    with open_log(handle.log_path) as log:
        return [finding.code for finding in log.findings]


@pytest.mark.real_processes
async def test_one_act_after_the_other(tmp_path: Path) -> None:
    assert len(NAMES) >= 23
    handle = await conversation(spec("a", ACTS.removeprefix(HEAD), NAMES))
    assert replies(handle) == ["done"] * len(NAMES), handle.transcript.termination
    assert handle.state is EngineState.CLOSED
    assert handle.transcript.termination is not None
    assert handle.transcript.termination["kind"] == "completed"
    assert findings(handle) == []
    assert len(await all_gone("a")) == 6
    # It stands where it was to stand, readable to its owner alone, and tells once of each thing.
    assert handle.log_path is not None
    assert handle.log_path.parent == tmp_path / "a" / "runs"
    (log,) = handle.log_path.parent.iterdir()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert text.count("printed by a child") == 1
    assert text.count("by a worker") == 1
    assert log.stat().st_size < 30 << 20
    # The next conversation starts as if nothing had been.
    again = await conversation(spec("next", "def bot(messages):\n    return os.getcwd()"))
    assert replies(again) == [str(tmp_path)] * 2
    assert findings(again) == []


# --- what breaks the engine


@dataclass(frozen=True)
class Case:
    """What a provider does, and how its conversation ends: what it says, and the log's findings."""

    does: str
    body: str
    says: str
    state: EngineState = EngineState.CLOSED
    kind: str = "failed"
    replies: int | None = 0
    """None: as many as it happens to be."""


def acts(statement: str, *, how: str = "async ") -> str:
    return f"{how}def bot(messages):\n    {statement}\n    return 'fine'\n"


def replaces(*names: str) -> str:
    return acts("; ".join(f"{name} = bad" for name in names))


BUILTINS = "import builtins\n" + replaces(
    *(f"builtins.{name}" for name in ("print", "open", "len", "isinstance", "getattr", "str"))
)
DEAD = EngineState.DEAD
BROKEN = [
    Case("closes every descriptor", acts("os.closerange(0, 1024)"),
         r"provider code has closed (its file descriptors|the pipe to the screen)", replies=None),
    Case("puts the null device in the place of all", acts(
        "null = os.open(os.devnull, os.O_RDWR); [os.dup2(null, n) for n in range(64) if n != null]"
    ), r"provider code has closed (its file descriptors|the pipe to the screen)", replies=None),
    Case("closes every descriptor while it is imported",
         "os.closerange(0, 1024)\n" + acts(""), "close file descriptors", DEAD),
    Case("replaces built-in functions", BUILTINS,
         r"provider code has replaced builtins\.(\w+, builtins\.)+len", replies=None),
    Case("replaces json", "import json\n" + replaces("json.dumps", "json.loads"),
         "the script is exhausted", kind="completed", replies=2),
    Case("replaces os", replaces("os.write", "os.getpid", "os.fstat", "os._exit"),
         r"provider code has replaced os\.", replies=None),
    Case("replaces asyncio", replaces("asyncio.create_task", "asyncio.wait", "asyncio.sleep",
                                      "asyncio.get_running_loop"),
         r"provider code has replaced asyncio\.", replies=None),
    Case("replaces the clock", replaces("time.monotonic", "time.perf_counter", "time.time"),
         r"provider code has replaced time\.", replies=None),
    Case("stops the event loop", acts("asyncio.get_running_loop().stop()"),
         "provider code has stopped its event loop"),
    Case("cancels every task", acts("[task.cancel() for task in asyncio.all_tasks()]"),
         "provider code did it", kind="interrupted"),
    Case("calls os._exit()", acts("os._exit(0)"), r"exited with status 0 .* os\._exit\(\)", DEAD),
    Case("calls os.abort()", acts("os.abort()"), "ended by SIGABRT", DEAD),
    Case("kills its group", acts("os.kill(0, signal.SIGKILL)"), "ended by SIGKILL", DEAD),
    Case("kills its group gently", acts("os.kill(0, signal.SIGTERM); await asyncio.sleep(60)"),
         "told to end", kind="interrupted"),
    Case("raises an exception of 100 MB", acts("raise ValueError('x' * 100_000_000)"),
         r"ValueError: x{4000}… \(100,000,000 characters\)"),
    Case("recurses without end", "def f(): return f()\n" + acts("f()"), "RecursionError"),
    Case("uses all the memory", "import resource\n" + acts(
        "resource.setrlimit(resource.RLIMIT_AS, (900 << 20,) * 2); a = [bytearray(10 << 20) for _"
        " in iter(int, 1)]"), "MemoryError"),
    Case("yields without end", "async def bot(messages):\n    while True: yield 'x'\n",
         r"no end of the reply within 0.4 s \(turn_timeout\)"),
    Case("yields nothing without end", "async def bot(messages):\n    while True: yield ''\n",
         r"no end of the reply within 0.4 s \(turn_timeout\)"),
    # An eighth of what is allowed, which would take ten seconds.
    Case("yields too much",
         "from convtui.engine.calls import active_call; active_call.MOST_CHARACTERS = 8 << 20\n"
         "async def bot(messages):\n    while True: yield 'x' * 3_000_000\n",
         "longer than 8 million characters"),
    Case("forks while it is imported",
         "child = os.fork()\nif child: started(child)\n" + acts(""),
         "the script is exhausted", kind="completed", replies=2),
    Case("changes folder and umask while it is imported",
         "os.chdir('/'); os.umask(0)\n" + acts(""),
         "the script is exhausted", kind="completed", replies=2),
]  # fmt: skip


async def test_what_breaks_an_engine_is_named(tmp_path: Path) -> None:
    """In forked engines: they are two dozen, and each is a process like those that users start."""
    few_at_once = asyncio.Semaphore(3)

    async def one(number: int, case: Case) -> EngineHandle:
        async with few_at_once:
            short = 0.4 if "turn_timeout" in case.says else 60
            return await conversation(spec(f"case{number}", case.body, turn_timeout=short))

    handles = await asyncio.gather(*(one(n, case) for n, case in enumerate(BROKEN)))
    wrong = [text for n, (case, handle) in enumerate(zip(BROKEN, handles, strict=True))
             if (text := differs(case, handle, tmp_path / f"case{n}"))]  # fmt: skip
    assert wrong == []
    for number in range(len(BROKEN)):
        await all_gone(f"case{number}")
    # What a killed engine has left can be gone on with.
    (killed,) = (h for case, h in zip(BROKEN, handles, strict=True) if "its group" in case.does
                 and h.state is EngineState.DEAD)  # fmt: skip
    what = spec("again", acts(""))
    what.continue_from = ContinueFrom(str(killed.log_path))
    # The provider is another one than the log names.
    what.vouched = vouched_for(Scenario.from_public(what.scenario))
    again = await conversation(what)
    assert replies(again) == ["fine", "fine"]
    assert findings(again) == []


def differs(case: Case, handle: EngineHandle, folder: Path) -> str:
    """What differs from the expectation; empty when nothing does."""
    error = (handle.error or {}).get("message", "")
    if handle.state is not case.state:
        return f"{case.does}: {handle.state}, {error}"
    logs = list((folder / "runs").glob("*"))
    if handle.state is EngineState.DEAD:
        text, expected = error, ["no_trailer"]
    else:
        ending = handle.transcript.termination or {}
        if ending.get("kind") != case.kind:
            return f"{case.does}: {ending}"
        text, expected = ending["reason"], []
    if not re.search(case.says, text):
        return f"{case.does}: {text[:300]}"
    if handle.log_path is None:
        return f"{case.does}: left {logs}" if logs else ""
    if (codes := findings(handle)) != expected:
        return f"{case.does}: {codes}"
    ends = handle.log_path.read_text().count('"type":"conversation.ended"')
    if ends != (handle.state is EngineState.CLOSED):
        return f"{case.does}: ended {ends} times"
    if case.replies is not None and len(replies(handle)) != case.replies:
        return f"{case.does}: {replies(handle)}"
    if logs != [handle.log_path] and handle.state is EngineState.CLOSED:
        return f"{case.does}: {logs}"
    mode = stat.S_IMODE(handle.log_path.stat().st_mode)
    return "" if mode == 0o600 else f"{case.does}: {mode:o}"


async def test_the_log_is_written_on_when_its_descriptor_was_closed(tmp_path: Path) -> None:
    """Its number may stand for a file of the provider's by then, which stays as it is."""
    body = """
        def bot(messages):
            for fd in os.listdir("/proc/self/fd"):
                try:
                    if os.readlink(f"/proc/self/fd/{fd}").endswith(".jsonl"):
                        mine = os.open(__file__ + ".mine", os.O_RDWR | os.O_CREAT)
                        os.dup2(mine, int(fd))
                except OSError:
                    pass
            return "fine"
        """
    handle = await conversation(spec("a", body))
    assert replies(handle) == ["fine", "fine"]
    assert findings(handle) == []
    assert (tmp_path / "a" / "bot.py.mine").read_bytes() == b""


# --- nobody watches


BLOCKS = {
    "time.sleep(600)": [],
    "sum(range(10**12))": ["no_trailer"],
    "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')": ["no_trailer"],
    "os.kill(os.getpid(), signal.SIGSTOP)": ["no_trailer"],
}
"""What blocks an engine, and the findings in its log when it was ended."""


async def test_an_engine_that_is_blocked_in_a_turn_is_ended_where_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(headless, "_GRACE", 0.2)
    monkeypatch.setattr(headless, "STOP_WITHIN", 0.5)
    monkeypatch.setattr("convtui.client.pipe_port.CLOSE_WITHIN", 0.5)

    async def one(number: int, statement: str) -> Conductor:
        what = spec(f"a{number}", acts(statement), turn_timeout=0.9, tool_timeout=0.9)
        output = io.StringIO()
        conductor = Conductor(what, Printer(output, output, width=80, color=False, debug=False))
        await conductor.run()
        return conductor

    async with asyncio.timeout(WITHIN):
        conductors = await asyncio.gather(*(one(n, what) for n, what in enumerate(BLOCKS)))
    errors = capsys.readouterr().err
    for conductor, expected in zip(conductors, BLOCKS.values(), strict=True):
        handle = conductor.handle
        assert conductor.code == 3
        assert handle.pid is not None
        assert not alive(handle.pid)
        assert findings(handle) == expected
        if handle.transcript.termination is not None:
            assert handle.transcript.termination["kind"] == "failed"
            errors += f"convtui: {handle.transcript.termination['reason']}"
    assert errors.count("convtui: provider code has blocked the engine for ") == len(BLOCKS)
    assert errors.count("the turn had 0.9 s (limits.turn_timeout, limits.tool_timeout)") == 4


async def test_an_engine_that_lost_its_screen_ends_whatever_blocks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the signals that would end it are blocked."""
    monkeypatch.setattr("convtui.client.pipe_port.CLOSE_WITHIN", 0.5)
    body = acts("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)); sum(range(10**12))")
    handle = EngineHandle()
    await asyncio.wait_for(handle.start(spec("a", body)), WITHIN)
    async with asyncio.timeout(WITHIN):
        while not handle.silent_for:
            await asyncio.sleep(0.02)
    await asyncio.wait_for(handle.close(), WITHIN)
    assert handle.state is EngineState.DEAD
    assert handle.pid is not None
    assert not alive(handle.pid)
    assert findings(handle) == ["no_trailer"]


def test_nothing_of_this_has_reached_the_tests_own_process() -> None:
    assert os.environ["CONVTUI_HOME"]
    assert "CONVTUI_ENGINE" not in os.environ
