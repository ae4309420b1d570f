"""What a command suggests, and what it tells first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import UsageError, did_you_mean, misspelled, nearest
from convtui.printing.wording import terminal_width
from tests.builders.logs import sample, write_log
from tests.cli.conftest import Run

PROBES = ["hook_order", "hooks_odd", "hooks_same", "net_429", "cancel", "error_text"]


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("hook", PROBES, ", did you mean 'hook_order', 'hooks_odd' or 'hooks_same'?"),
        ("hook-odd", PROBES, ", did you mean 'hooks_odd'?"),
        ("text", PROBES, ", did you mean 'error_text'?"),
        ("CANCEL", PROBES, ", did you mean 'cancel'?"),
        ("cancle", PROBES, ", did you mean 'cancel'?"),
        ("leak", PROBES, ""),
        ("he", ["hello", "helper"], ""),
        ("e", [str(number) for number in range(9)], ""),
        ("bsh", ["bash", "zsh", "fish"], ", did you mean 'bash'?"),
        ("max_turns", ["limits.max_turns"], ", did you mean 'limits.max_turns'?"),
    ],
)
def test_only_what_is_near_is_suggested(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, known) == hint


def test_the_dashes_of_flags_are_no_likeness() -> None:
    assert nearest("--foo", ["--out", "--runs"]) is None
    assert nearest("--on-paus", ["--out", "--on-pause"]) == "--on-pause"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run --foo", "unknown flag --foo\n"),
        ("warm bild", "unknown command 'bild', did you mean 'build'?"),
        ("completion bsh", "'bsh' is not one of bash, zsh, fish, did you mean 'bash'?"),
        ("run --on-pause contine", "did you mean 'continue'?"),
        ("probe --provider demo --only net", "did you mean 'net_429', 'net_500', 'net_drop', "),
        ("demo --theme drk", "--theme: there is no theme 'drk', did you mean 'dark'?"),
        ("--theme light show last", "--theme is for the screen, and `convtui show` has none"),
        ("--theme light compare a b", "--theme is for --tui"),
        ("--theme light shwo", "unknown command 'shwo', did you mean 'show'?"),
        ("compare a b --theme light", "--theme is for --tui"),
        ("runs --yes", "--yes answers the question of --trash"),
    ],
)
def test_a_mistake_on_the_command_line(convtui: Run, command: str, message: str) -> None:
    code, out, err = convtui(*command.split())
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("command", "chosen"),
    [
        ("--theme light replay", "light"),
        ("replay --theme light", "light"),
        ("--theme light replay --theme mono", "mono"),
    ],
)
def test_a_theme_goes_before_or_behind_the_command(
    convtui: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, chosen: str
) -> None:
    log = write_log(tmp_path / "a.jsonl", sample())
    asked: list[str | None] = []

    def settings(*, theme: str | None, **_: Any) -> None:
        asked.append(theme)
        raise UsageError("no screen is opened here")

    monkeypatch.setattr("convtui.cli.replay.has_screen", lambda: True)
    monkeypatch.setattr("convtui.cli.replay.settings", settings)
    convtui(*command.split(), str(log))
    assert asked == [chosen]


def test_themes_say_how_to_choose(convtui: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    out = convtui("themes").out
    assert "dark (in use)" in out
    assert "--theme NAME, CONVTUI_THEME=NAME" in out
    monkeypatch.setenv("CONVTUI_THEME", "light")
    assert "In use: light, set by CONVTUI_THEME" in convtui("themes").out
    monkeypatch.setenv("CONVTUI_THEME", "lihgt")
    assert "no theme 'lihgt', set by CONVTUI_THEME, did you mean 'light'?" in convtui("themes").err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "debug scenaro.yaml",
            "scenaro.yaml: there is no such file, did you mean 'scenario.yaml'?",
        ),
        ("debug --persona p2.yaml", "p2.yaml: there is no such file"),
        ("debug --provider bt.py:Bot", "bt.py: there is no such file, did you mean 'bot.py'?"),
        ("replay nothing.jsonl", "nothing.jsonl: there is no such log"),
        ("compare --tui nothing.jsonl sample:clean", "nothing.jsonl: there is no such log"),
        ("debug scenario.yaml", "persona: "),
    ],
)
def test_a_missing_file_is_told_and_not_the_missing_terminal(
    convtui: Run, command: str, message: str
) -> None:
    Path("scenario.yaml").write_text("persona: scenari.yaml\n")
    Path("bot.py").write_text("")
    code, out, err = convtui(*command.split())
    assert (code, out) == (2, "")
    assert message in err
    assert "no terminal" not in err
    # The file that names it is never what was meant.
    assert not message.startswith("persona") or "did you mean" not in err


def test_a_width_of_zero_is_80(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 1

    stream: Any = Terminal()
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((0, 0)))
    assert terminal_width(stream) == 80
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((12, 5)))
    assert terminal_width(stream) == 20


def test_a_name_that_may_be_right_as_it_is_is_only_suspected_of_a_slip() -> None:
    hooks = ["enter_session", "_post_process_response"]
    assert misspelled("enter_sesion", hooks) == "enter_session"
    assert misspelled("Enter_Session", hooks) == "enter_session"
    assert misspelled("post_process_response", hooks) == "_post_process_response"
    # The beginning of one, and a part of one.
    assert misspelled("enter", hooks) is misspelled("session", hooks) is None
