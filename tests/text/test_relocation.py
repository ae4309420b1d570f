"""Paths of files that stand elsewhere than at home."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from convtui.text.relocation import path_at_home, path_here, relocate


@pytest.fixture(autouse=True)
def moved() -> Iterator[None]:
    relocate([("/home/me/desk", "/node/copy"), ("/home/me/desk/data", "/node/data")])
    yield
    relocate([])


@pytest.mark.parametrize(
    ("home", "here"),
    [
        ("/home/me/desk/bot.py", "/node/copy/bot.py"),
        ("/home/me/desk", "/node/copy"),
        ("/home/me/desk/data/a.jsonl", "/node/data/a.jsonl"),
        ("/home/me/desktop/bot.py", "/home/me/desktop/bot.py"),
        ("bot.py", "bot.py"),
    ],
)
def test_there_and_back(home: str, here: str) -> None:
    assert path_here(home) == here
    assert path_at_home(here) == home


def test_nothing_moves_by_itself() -> None:
    relocate([])
    assert path_here("/home/me/desk/bot.py") == "/home/me/desk/bot.py"
