"""Hostile text in every field: no byte of a payload reaches the terminal, and nothing crashes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from convtui.records.models import (
    DebugHeld,
    LlmFailed,
    LlmRetry,
    ProviderOutput,
    ToolCalled,
    ToolReturned,
    UserDecided,
    Warned,
)
from tests.builders.logs import conversation, ending, header, session, turn, write_log
from tests.e2e.terminal import Terminal, clean_environment, convtui

pytestmark = pytest.mark.slow

ESCAPES = (
    "\x1b]8;;http://m-osc8/\x1b\\m-link\x1b]8;;\x1b\\"
    "\x1b]52;c;bS1vc2M1Mg==\x07"
    "\x1b]0;m-title\x07"
    "\x1b[31337m\x1b[6666;6667H\x1b[31338J"
    "\x9b31339m\x9dm-c1osc\x9c\x90m-dcs\x9c"
    "\x1bPm-dcs7\x1b\\\x1b_m-apc\x1b\\\x1bc"
)
CONTROLS = "m-del\x7f m-nul\x00 m-bel\x07 m-bs\x08\x08\x08 m-cr\rm-over m-vt\x0b m-ff\x0c m-so\x0e"
HIDDEN = "m-bidi\u202em-olleh\u202c m-zw\u200b\u200d\u2060\ufeff m-tag\U000e0041\U000e007f"
MARKUP = "[/] [b [bold] [$error] [@click=app.quit]m-click[/] [link=m-url] :warning:"
SURROGATES = "m-sur\ud800\udfff"
COMBINING = "m-comb" + "\u0301" * 300
HOSTILE = f"{ESCAPES} {CONTROLS} {HIDDEN} {MARKUP} {SURROGATES} {COMBINING}"
WITHOUT_SURROGATES = f"{ESCAPES} {CONTROLS} {HIDDEN} {MARKUP} {COMBINING}"
LONG = "m-long " + "x" * 1_000_000 + ESCAPES

_NEVER = (
    *(b"\x1b]8;", b"\x1b]52;", b"\x1b]0;", b"\x1b]2;"),
    *(b"\x1bP", b"\x1b_", b"\x1bc", b"\x7f", b"\x00"),
    *(b"31337m", b"6666;6667H", b"31338J", b"31339m"),
    *(b"m-bel\x07", b"m-bs\x08", b"m-cr\r", b"\x0b", b"\x0c", b"\x0e"),
    *(text.encode() for text in "\u202e\u202c\u200b\u200d\u2060\ufeff\U000e0041\U000e007f"),
    "\u0301".encode() * 10,
)  # fmt: skip
_C1 = re.compile(rb"\xc2[\x80-\x9f]")
_ESCAPE = re.compile(
    rb"\x1b(?:\[([<>=?]?)([0-9;:]*)([ $]?[@-~])|\](\d+);[^\x07\x1b]*(?:\x07|\x1b\\)|.)"
)


def reached(raw: bytes) -> list[bytes]:
    """What of the payloads stands in the bytes that a terminal got."""
    found = [payload for payload in _NEVER if raw_has(raw, payload)]
    found += [match[0] for match in _C1.finditer(raw)]
    for match in _ESCAPE.finditer(raw):
        kind, numbers, final, osc = match[1], match[2], match[3], match[4]
        if osc is not None:
            ours = osc in (b"22",)
        elif final is not None:
            largest = max((int(n) for n in re.split(rb"[;:]", numbers) if n), default=0)
            ours = largest <= 2100 and (kind != b"" or final in b"mHJKhlABCDq$pu t")
        else:
            ours = False
        if not ours:
            found.append(match[0])
    return found


def raw_has(raw: bytes, payload: bytes) -> bool:
    """Whether a payload stands there as bytes of control (digits may also stand there as text)."""
    if payload[:1].isdigit():
        return b"\x1b[" + payload in raw or b"\x9b" + payload in raw
    return payload in raw


def hostile_log(path: Path) -> Path:
    """A log with hostile text in every field that has any."""
    error = {"type": HOSTILE, "message": HOSTILE, "frames": [HOSTILE], "status": 500}
    call = {"id": HOSTILE, "name": HOSTILE}
    more = [
        ToolCalled(**call, arguments={HOSTILE: HOSTILE}, raw_arguments=HOSTILE),
        ToolReturned(**call, ok=False, result=HOSTILE, error_kind=HOSTILE, duration=0.1),
        ProviderOutput(stream="stdout", text=HOSTILE + "\n" + HOSTILE),
        LlmRetry(n=1, delay=0.1, error=error, partial=HOSTILE),
        Warned(code=HOSTILE, message=HOSTILE, detail={HOSTILE: HOSTILE}),
    ]
    decided = [
        UserDecided(kind="reply", tool=HOSTILE, arguments={"answer": HOSTILE}, reason=HOSTILE)
    ]
    end = ending("failed", "provider", 8, detail={"category": HOSTILE, "message": HOSTILE})
    end |= {"reason": HOSTILE, "signal": HOSTILE}
    turns = [
        turn(1, "persona", HOSTILE, more=decided),
        turn(2, "provider", HOSTILE, raw=f"{HOSTILE} more", more=more, metadata={HOSTILE: HOSTILE}),
        turn(3, "persona", LONG),
        turn(4, "provider", MARKUP, raw=HOSTILE, signal="m-del", discard="skip"),
        turn(5, "persona", SURROGATES + COMBINING),
        [*turn(6, "provider", HOSTILE)[:2]],
    ]
    at: dict[str, Any] = {"session": 1, "turn": 6, "side": "provider", "attempt": 1}
    turns[-1] += [
        LlmFailed(**at, error=error, partial=HOSTILE, duration=0.1),
        DebugHeld(
            **at,
            hold=1,
            reason="error",
            stage="response",
            detail=HOSTILE,
            drafts=[{"field": "raw", "label": HOSTILE, "text": HOSTILE}],
            choices=[{"id": "fail", "label": HOSTILE}],
            error=error,
        ),
    ]
    records = conversation(session(1, HOSTILE, turns, end), end=end)
    provider = {"spec": HOSTILE, "name": HOSTILE, "kind": "file", "file": HOSTILE, "model": HOSTILE}
    records[0] = header(
        persona=HOSTILE,
        provider=provider,
        scenario={"name": HOSTILE, "persona": {"name": HOSTILE}},
        environment={HOSTILE: HOSTILE},
    )
    return write_log(path, records)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The hostile log, with a harmless name."""
    return hostile_log(tmp_path / "hostile.jsonl")


@pytest.mark.parametrize("size", [(120, 36), (60, 16)])
def test_replay_shows_every_corner_of_a_hostile_log(
    home: Path, log: Path, size: tuple[int, int]
) -> None:
    environment = clean_environment(home)
    columns, rows = size
    with Terminal(
        convtui("replay", log), columns=columns, rows=rows, env=environment, cwd=home
    ) as terminal:
        terminal.until("REPLAY", "m-")
        terminal.press("home")
        for _ in range(6):
            for key in ("1", "2", "3", "4", "5", "6", "7", "8", "9", "i"):
                terminal.press(key)
                terminal.quiet(0.03)
            for key in ("i", "escape", "down"):
                terminal.press(key)
                terminal.quiet(0.05)
        for key in ("r", "r", "?", "escape", ":", "escape", "y", "space", "left", "s", "s", "]"):
            terminal.press(" " if key == "space" else key)
            terminal.quiet(0.05)
        terminal.press("/")
        terminal.quiet(0.1)
        terminal.send("m-click")
        # What comes at once is a paste: the Enter of a person comes later.
        terminal.quiet(0.2)
        terminal.press("enter")
        terminal.quiet(0.2)
        assert terminal.process.poll() is None
        terminal.press("escape")
        terminal.until("REPLAY")
        # What follows Escape before the program has read it is a key with alt.
        terminal.quiet(0.4)
        terminal.press("ctrl+q")
        assert terminal.wait() == 0
        raw = terminal.raw
    # Copying a turn is meant to reach the terminal; it is base64, and nothing else of it is.
    raw = re.sub(
        rb"\x1b\]52;c;[A-Za-z0-9+/=]*(?:\x07|\x1b\\)", b"", raw.replace(b"bS1vc2M1Mg", b"!")
    )
    assert reached(raw) == []
    assert b"m-click" in raw
    assert b"Traceback" not in raw


@pytest.mark.parametrize("arguments", [[], ["--plain"], ["--debug"]])
def test_show_on_a_terminal_and_in_a_pipe(home: Path, log: Path, arguments: list[str]) -> None:
    environment = clean_environment(home)
    command = convtui("show", log, *arguments)
    with Terminal(command, env=environment, cwd=home) as terminal:
        assert terminal.wait() == 0
        raw = terminal.raw
    done = subprocess.run(command, capture_output=True, env=environment, check=True)
    for written in (raw, done.stdout + done.stderr):
        assert reached(written) == []
        assert b"m-click" in written


_PROVIDER = """
import sys

class {name}Error(Exception):
    pass

HOSTILE = {text}

def answer(messages):
    print(HOSTILE)
    sys.stderr.write(HOSTILE.encode(errors="replace").decode())
    if len(messages) > 3:
        raise RuntimeError(HOSTILE)
    return HOSTILE + "\\ud800"
"""


def test_run_with_a_hostile_persona_and_provider(home: Path) -> None:
    (home / "bot.py").write_text(_PROVIDER.format(name="My", text=ascii(WITHOUT_SURROGATES)))
    scenario = home / "scenario.yaml"
    persona = {"name": WITHOUT_SURROGATES, "script": [WITHOUT_SURROGATES] * 3}
    data = {"persona": persona, "provider": "bot.py:answer", "sessions": [WITHOUT_SURROGATES]}
    # YAML has no pairs of surrogates: such characters are escaped with eight digits.
    scenario.write_text(
        re.sub(
            r"\\ud[89ab]..\\ud[c-f]..",
            lambda pair: f"\\U{ord(json.loads(f'{chr(34)}{pair[0]}{chr(34)}')):08x}",
            json.dumps(data),
        )
    )
    environment = clean_environment(home)
    for more in ([], ["--debug"]):
        command = convtui("run", scenario, "--out", home / "runs", *more)
        with Terminal(command, env=environment, cwd=home) as terminal:
            assert terminal.wait() == 3, terminal.text
            assert reached(terminal.raw) == []
            assert b"m-click" in terminal.raw
            assert b"Traceback" not in terminal.raw
    with Terminal(convtui("runs", "--out", home / "runs"), env=environment, cwd=home) as terminal:
        assert terminal.wait() == 0
        assert reached(terminal.raw) == []
    for written in (home / "runs").iterdir():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", written.name)


def test_hostile_names_of_files(home: Path, log: Path) -> None:
    environment = clean_environment(home)
    name = "m-file\x1b]0;m-title\x07\x1b[31337m\u202e[@click=app.quit][b"
    renamed = log.with_name(f"{name}.jsonl")
    shutil.copyfile(log, renamed)
    themes = home / "config" / "themes"
    themes.mkdir(parents=True)
    (themes / f"{name}.yaml").write_text("name: [1\n")
    missing = log.with_name(f"{name} is missing.jsonl")
    (home / "config" / "config.toml").write_text("")
    for command in (
        convtui("show", renamed),
        convtui("show", missing),
        convtui("check", renamed),
        convtui("themes"),
        convtui("runs", "--out", log.parent),
        convtui("replay", missing),
        convtui(name),
        convtui("run", name),
    ):
        with Terminal(command, env=environment, cwd=home) as terminal:
            terminal.wait()
            assert reached(terminal.raw) == [], command
            assert b"Traceback" not in terminal.raw
    with Terminal(convtui("replay", renamed), env=environment, cwd=home) as terminal:
        terminal.until("REPLAY")
        terminal.quiet(0.3)
        terminal.press("q")
        assert terminal.wait() == 0
        assert reached(terminal.raw) == []
