"""`convtui compress`, with a real engine process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run

BOT = """
def bot(messages):
    if messages[-1]["content"].startswith("Stop here"):
        return "they said hello"
    return f"heard {len(messages)}"


def refuses(messages):
    return ""
"""


@pytest.fixture
def saved(convtui: Run, tmp_path: Path) -> Path:
    """A run of two turns, and the provider that was in it."""
    (tmp_path / "work" / "bot.py").write_text(BOT)
    (tmp_path / "work" / "ann.yaml").write_text("name: Ann\nscript: [hello, again, bye]\n")
    out = tmp_path / "logs"
    done = convtui("run", "--provider", "bot.py:bot", "--persona", "ann.yaml", "--max-turns", "2",
                   "--out", out, "--wire", "off")  # fmt: skip
    assert done.code == 0, done.err
    return Path(done.err.splitlines()[-1])


def test_a_log_is_compressed_and_gone_on_with(convtui: Run, saved: Path, tmp_path: Path) -> None:
    before = saved.read_bytes()
    done = convtui("compress", saved, "--out", tmp_path / "logs", "--json")
    assert (done.code, done.err) == (0, "")
    result = json.loads(done.out)
    assert result["summary"] == "they said hello"
    assert (result["rows_in"], result["rows_out"], result["upto"]) == (2, 1, 2)
    assert saved.read_bytes() == before
    shown = convtui("show", result["log"], "--plain")
    assert "heard 1" in shown.out
    assert convtui("check", result["log"]).code == 0
    on = convtui("run", "--resume", result["log"], "--max-turns", "4", "--out", tmp_path / "logs")
    assert on.code == 0, on.err
    # The summary and one more message: that is all that the provider was sent.
    assert "heard 2" in on.out


def test_for_people_it_says_the_summary_and_what_to_do_next(
    convtui: Run, saved: Path, tmp_path: Path
) -> None:
    done = convtui("compress", saved, "--out", tmp_path / "logs")
    assert done.out == "they said hello\n"
    assert "convtui run --resume" in done.err
    assert Path(done.err.splitlines()[-1]).exists()


def test_what_is_no_summary_is_an_error(convtui: Run, saved: Path, tmp_path: Path) -> None:
    done = convtui("compress", saved, "--provider", "bot.py:refuses", "--out", tmp_path / "logs")
    assert done.code == 3
    assert "not compressed: the summary is empty" in done.err


def test_a_log_that_is_none(convtui: Run) -> None:
    done = convtui("compress", "nowhere.jsonl")
    assert done.code == 2
    assert "nowhere.jsonl" in done.err
