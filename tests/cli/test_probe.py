"""`convtui probe`: output, kept logs and exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals"),
]

GOOD = """
from convtui import Provider
class Bot(Provider):
    stateful = False
    async def generate_response(self, messages):
        return "fine"
"""
BAD = GOOD.replace('return "fine"', 'return messages[-1]["content"].split()[0]')


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    path = tmp_path / "work" / "bot.py"
    path.write_text(GOOD)
    return path


def test_a_good_provider(convtui: Run, bot: Path, tmp_path: Path) -> None:
    result = convtui("probe", "--provider", "bot.py:Bot", "--only", "load,empty", "--out", "logs")
    assert result.code == 0
    assert result.out.splitlines() == [
        "pass  load           Bot (class) is imported and made",
        "pass  empty          it answers",
        "2 passed, 0 failed, 0 to look at, 0 not applicable",
    ]
    assert "1 call was made" in result.err
    (log,) = (tmp_path / "work" / "logs" / "empty").glob("*.jsonl")
    assert convtui("check", log).code == 0


def test_a_bad_one_exits_with_1_and_keeps_the_log_that_shows_it(convtui: Run, bot: Path) -> None:
    bot.write_text(BAD)
    result = convtui("probe", "--provider", "bot.py:Bot", "--only", "empty", "--json")
    assert result.code == 1
    report = json.loads(result.out)
    assert report["exit_code"] == 1
    assert report["counts"] == {"pass": 0, "fail": 1, "warn": 0, "n/a": 0}
    (finding,) = report["findings"]
    assert finding["probe"] == "empty"
    assert "IndexError" in finding["says"]
    assert any("bot.py" in line for line in finding["detail"])
    assert finding["turn"] == "1:2"
    assert Path(finding["log"]).is_file()
    assert finding["log"].startswith(report["logs"])
    assert report["provider"]["name"] == "Bot"
    shown = convtui("show", finding["log"])
    assert "IndexError" in shown.out + shown.err


def test_a_bad_one_for_people(convtui: Run, bot: Path) -> None:
    bot.write_text(BAD)
    result = convtui("probe", "--provider", "bot.py:Bot", "--only", "empty", "--out", "logs")
    assert result.code == 1
    lines = result.out.splitlines()
    assert lines[0].startswith("FAIL  empty ")
    assert any(line.startswith("      see ") and line.endswith(" at turn 1:2") for line in lines)


def test_nothing_is_kept_of_what_is_well(convtui: Run, bot: Path) -> None:
    result = convtui("probe", "--provider", "bot.py:Bot", "--only", "load,empty", "--json")
    report = json.loads(result.out)
    assert result.code == 0
    assert report["logs"] is None
    assert {finding["log"] for finding in report["findings"]} == {None}


def test_a_scenario_names_the_provider(convtui: Run, bot: Path, tmp_path: Path) -> None:
    (tmp_path / "work" / "s.yaml").write_text("persona: demo\nprovider: bot.py:Bot\n")
    result = convtui("probe", "s.yaml", "--only", "load")
    assert (result.code, result.out[:4]) == (0, "pass")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "what is to be tried? Name it: convtui probe --provider SPEC"),
        (("--provider", "demo", "--only", "cancle"), "no probe 'cancle', did you mean 'cancel'?"),
        (("--provider", "none.py:Bot"), "none.py"),
        (("--provider", "bot.py:Bat"), "did you mean 'Bot'?"),
        (("--provider", "demo", "--out", "bot.py/x"), "--out bot.py/x: "),
    ],
)
def test_bad_usage_is_told_in_one_message(
    convtui: Run, bot: Path, arguments: tuple[str, ...], says: str
) -> None:
    result = convtui("probe", *arguments)
    assert result.code == 2
    assert says in result.err
    assert "Traceback" not in result.err


def test_code_that_cannot_be_imported_is_a_failed_probe(convtui: Run, bot: Path) -> None:
    bot.write_text("import nothing_of_that_name\n")
    result = convtui("probe", "--provider", "bot.py:Bot", "--out", "logs")
    assert result.code == 1
    assert result.out.startswith("FAIL  load ")
    assert "nothing_of_that_name" in result.out
