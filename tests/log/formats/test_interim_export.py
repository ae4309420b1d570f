"""What was written beside tool calls goes out with an export, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.log.formats.registry import by_name
from convtui.log.reader import open_log
from tests.builders.conversations import run, scenario
from tests.engine.turn.test_rounds import clerk


@pytest.mark.parametrize("interim", ["show", "say"])
@pytest.mark.parametrize("name", ["vera", "rath", "oharness", "hermes-trajectory"])
async def test_it_is_in_what_is_written(tmp_path: Path, name: str, interim: str) -> None:
    ran = await run(scenario(clerk("Let me look."), ["hi"], interim=interim), tmp_path)
    with open_log(ran.path) as log:
        write = by_name(name).write
        assert write is not None
        written = write(log, tmp_path / "out")
    texts = {path: path.read_text() for path in written.files}
    text = "".join(texts.values())
    assert "Let me look." in text and "One moment please." in text
    if name == "vera":
        transcript = next(text for path, text in texts.items() if path.suffix == ".txt")
        assert ("Let me look." in transcript) is (interim == "say")
        assert any("beside tool calls" in note for note in written.notes) is (interim == "show")
    else:
        # oharness keeps requests, too: the next round's has it once more.
        assert text.count("Let me look.") == (2 if name == "oharness" else 1)
