"""The transcripts that imports are measured with are ones of their format, and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.log.formats.registry import NAMES
from tests.bench.foreign import FILES, many
from tests.log.formats.told import imported

SPEAKERS = ("persona", "provider")


def test_there_is_one_of_every_format() -> None:
    assert tuple(FILES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_turn_of_a_transcript_is_imported(name: str, tmp_path: Path) -> None:
    (one,), findings = imported(FILES[name](tmp_path, 30), tmp_path / "logs", name)
    assert findings == []
    assert [speaker for speaker, _ in one.said] == [SPEAKERS[number % 2] for number in range(30)]
    assert len({text for _, text in one.said}) == 30


def test_no_two_of_many_files_are_alike(tmp_path: Path) -> None:
    logs, findings = imported(many(tmp_path / "many", 5, 4), tmp_path / "logs", "openai")
    assert findings == []
    assert [len(one.said) for one in logs] == [4] * 5
