"""`convtui compare`: output for people, pipes and programs, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.builders.logs import conversation, ending, header, session, turn, write_log
from tests.cli.conftest import Run

HELLO = turn(1, "persona", "Hello")


@pytest.fixture
def logs(tmp_path: Path) -> tuple[str, str]:
    paths = []
    for name, reply in (("a", "You get a refund. [[X]]"), ("b", "You get \x1b[31ma voucher.")):
        reply_turn = turn(2, "provider", reply, signal="[[X]]")
        records = conversation(session(1, "intake", [HELLO, reply_turn], ending()), end=ending())
        records[0] = header(id=name)
        paths.append(str(write_log(tmp_path / f"{name}.jsonl", records)))
    return paths[0], paths[1]


def test_a_table_of_what_differs(convtui: Run, logs: tuple[str, str]) -> None:
    code, out, err = convtui("compare", *logs)
    assert (code, err) == (1, "")
    assert "  1:1           nothing differs" in out
    assert "text, signals  (0.50 s | 0.50 s)" in out
    assert "[-refund-]" in out
    assert "{+voucher+}" in out
    assert "signals: [[X]] -> none" in out
    assert "\x1b" not in out
    assert re.search(r"session 1 +turn limit reached at turn 2: .* +turn limit", out)
    assert out.splitlines()[-1] == ("1 difference, the first at turn 1:2, provider: text, signals")


def test_a_line_for_each_turn(convtui: Run, logs: tuple[str, str]) -> None:
    code, out, _ = convtui("compare", *logs, "--plain")
    assert code == 1
    assert "turn 1:1 persona: same\n" in out
    assert "turn 1:2 provider: text, signals: " in out
    assert "; signals: A [[X]], B none\n" in out
    assert "\x1b" not in out


def test_the_same_is_no_failure(convtui: Run, logs: tuple[str, str]) -> None:
    code, out, _ = convtui("compare", logs[0], logs[0])
    assert code == 0
    assert "A and B are the same log" in out
    assert out.splitlines()[-1] == "no difference in what was said and what happened"


def test_data(convtui: Run, logs: tuple[str, str]) -> None:
    code, out, _ = convtui("compare", *logs, "--json")
    data = json.loads(out)
    assert (code, data["same"], data["first"]["a"]) == (1, False, 2)
    assert data["sessions"][0]["turns"][1]["b"]["text"] == "You get \x1b[31ma voucher."


def test_the_screen_needs_a_terminal(convtui: Run, logs: tuple[str, str]) -> None:
    code, out, err = convtui("compare", *logs, "--tui")
    assert code == 1
    assert "no terminal to draw on, so the comparison is printed" in err
    assert "{+voucher+}" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a"], "Missing argument 'B'."),
        (["nope.jsonl", "nope.jsonl"], "nope.jsonl: there is no such log"),
        (["a", "b", "--json", "--tui"], "--json, --plain and --tui exclude each other"),
    ],
)
def test_wrong_usage(convtui: Run, arguments: list[str], message: str) -> None:
    code, out, err = convtui("compare", *arguments)
    assert (code, out) == (2, "")
    assert message in err
