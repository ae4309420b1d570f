"""Typing in a real terminal: what is written ahead, and a paste without brackets."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.terminal import Terminal, clean_environment, convtui
from tests.e2e.walk import BEFORE_ENTER

PROVIDER = """
import asyncio, pathlib
async def bot(messages):
    while not pathlib.Path("go").exists():
        await asyncio.sleep(0.02)
    return "heard: " + messages[-1]["content"]
"""
PASTE = "My booking is HT-2291.\rI want Saturday.\rBefore noon, please."


def press_enter(terminal: Terminal) -> None:
    """As a person does, who has read what it sends."""
    terminal.quiet(BEFORE_ENTER, timeout=1)
    terminal.press("enter")


def test_keys_are_text_while_the_provider_speaks(home: Path) -> None:
    (home / "bot.py").write_text(PROVIDER)
    (home / "me.yaml").write_text("name: me\nsimulator: human\n")
    command = convtui("debug", "--provider", "bot.py:bot", "--persona", "me.yaml")
    with Terminal(command, columns=80, rows=24, env=clean_environment(home), cwd=home) as terminal:
        terminal.until("you speak for the persona")
        terminal.press("hello")
        terminal.until("hello")
        press_enter(terminal)
        terminal.until("you are the persona: not your turn yet")
        for key in "Hi, ":
            terminal.press(key)
            terminal.quiet(0.05)
        terminal.send(PASTE)
        terminal.until("Hi, My booking", "I want Saturday.", "Before noon, please.")
        assert "PAUS" not in terminal.text
        (home / "go").touch()
        terminal.until("you speak for the persona", "heard: hello", "Before noon, please.")
        press_enter(terminal)
        terminal.until("heard: Hi, My booking")
        terminal.press("ctrl+q")
        terminal.until("is not over")
        press_enter(terminal)
        assert terminal.wait() == 0
    (log,) = (home / "data" / "runs").rglob("*.jsonl")
    records = [json.loads(line) for line in log.read_text().splitlines()]
    said = [record["text"] for record in records if record["type"] == "turn.committed"
            and record["speaker"] == "persona"]  # fmt: skip
    assert said == ["hello", "Hi, " + PASTE.replace("\r", "\n")]
    assert not [record for record in records if record["type"].startswith("debug.overrode")]
