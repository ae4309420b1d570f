"""The first hour of somebody who has never seen the program, in the terminal's own way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import not_new_here
from tests.e2e.walk import Step, Walker

pytestmark = pytest.mark.slow

BEGINNING = [
    Step(name="init", runs=["init", "--style", "class"], shows=["Next: convtui debug"], exits=0),
]
MENDING = [
    Step(
        name="an error in the file",
        saves={"self.desk = desk": "self.desk = dsk"},
        runs=["debug"],
        shows=["cannot be loaded", "NameError", "my_provider.py:23"],
    ),
    Step(
        name="fixed and saved",
        saves={"self.desk = dsk": "self.desk = desk"},
        shows=["HELD", "signal [CASE CLOSED] 55-68"],
        hides=["cannot be loaded"],
    ),
]
HOLDING = [
    Step(
        name="the reply through the new hook",
        saves={"return text.strip()": 'return "Ahoy! " + text.strip()'},
        keys=["R"],
        shows=["Changed: the text.", "No model was called"],
    ),
    Step(
        name="back to the conversation",
        keys=["escape"],
        shows=["HELD", "reply reused"],
        hides=["No model was called"],
    ),
    Step(name="to the end of the session", keys=["c"], shows=["HELD", "terminate", "Ahoy! You"]),
    Step(name="a tab by its digit", keys=["2"], shows=["raw reply 68"]),
    Step(name="the first tab", keys=["1"], shows=["post_process"]),
    Step(name="back to the transcript", keys=["escape"], shows=["8 provider", "Ahoy! You"]),
    Step(name="take over", keys=["t"], shows=["esc: the choices"]),
    Step(name="write ahead", keys=["Hi run it"], shows=["HELD", "Hi run it"]),
    Step(name="a new line", keys=["alt+enter", "please"], shows=["HELD", "Hi run it please"]),
    Step(name="leave the box", keys=["escape"], hides=["esc: the choices"]),
    Step(name="override the ending", keys=["o"], shows=["enter send"]),
    Step(name="send", keys=["enter"], shows=["10 provider", "11 persona", "esc: all choices"]),
    Step(name="leave the box again", keys=["escape"], shows=["t hand back"]),
    Step(name="hand back", keys=["t"], shows=["HELD", "terminate"], hides=["you are the persona"]),
]
MOVING = [
    Step(name="the first turn", keys=["g"], shows=["▌ 1 persona"]),
    Step(name="the second turn", keys=["j"], shows=["▌ 2 provider"]),
    Step(name="the third turn", keys=["j"], shows=["▌ 3 persona"]),
    Step(name="the fourth turn", keys=["j"], shows=["▌ 4 provider"]),
    Step(name="a breakpoint", keys=["b"], shows=["4 provider", "breakpoint"]),
    Step(name="the turn before", keys=["k"], shows=["▌ 3 persona"]),
    Step(name="rewind", keys=["w", "w"], shows=["HELD", "3 persona (not asked yet)"]),
    Step(name="the breakpoint", keys=["c"], shows=["HELD", "4 provider (not asked yet)"]),
    Step(name="step a turn", keys=["n"], shows=["HELD", "5 persona"]),
]
OTHER_SCREENS = [
    Step(name="library", keys=["O"], shows=["saved runs", "Maya"], hides=["HELD at"]),
    Step(name="back from the library", keys=["escape"], shows=["HELD at"]),
    Step(name="help", keys=["?"], shows=["keys that work here"]),
    Step(name="back from help", keys=["escape"], shows=["HELD"], hides=["keys that work here"]),
    Step(name="palette", keys=[":"], shows=["what do you want to do?"]),
    Step(
        name="back from the palette",
        keys=["escape"],
        shows=["HELD"],
        hides=["what do you want to do?"],
    ),
]
FORKING = [
    Step(name="the turn to fork after", keys=["k"], shows=["4 provider"], hides=["▌▸ 5"]),
    Step(
        name="fork",
        keys=["f", "f"],
        shows=["HELD", "5 persona (not asked yet)"],
        hides=["stepped here"],
    ),
]
END = [
    Step(name="quit", keys=["q"], shows=["is not over"]),
    Step(name="leave", keys=["enter"], exits=0),
]
REHOOK = [
    Step(
        # The first log: the reload, the rewind and the fork made one each.
        name="rehook",
        runs=["rehook", "last~3", "--provider", "my_provider.py:Bot"],
        shows=["1:2 text", "4 replies of 1 log: 4 changed"],
        exits=1,
    ),
]
WHOLE = [
    *BEGINNING, *MENDING, *HOLDING, *MOVING, *OTHER_SCREENS, *FORKING, *END, *REHOOK,
]  # fmt: skip
SIZES = [(120, 36), (80, 24), (60, 16)]


def test_the_first_hour(tmp_path: Path) -> None:
    """In all sizes at once: the walks wait for far more than they work."""

    def walk(size: tuple[int, int]) -> str:
        home = tmp_path / f"{size[0]}x{size[1]}"
        home.mkdir()
        not_new_here(home)
        try:
            Walker(home, size, "my_provider.py").walk(WHOLE)
        except AssertionError as error:
            return f"{home.name}: {error}"
        return ""

    with ThreadPoolExecutor(len(SIZES)) as walkers:
        assert [problem for problem in walkers.map(walk, SIZES) if problem] == []
