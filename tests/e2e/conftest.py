"""A home of its own for every program that is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from convtui.config.paths import write_state


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`CONVTUI_HOME`, and the working directory. The hint for newcomers was seen already."""
    folder = tmp_path / "home"
    folder.mkdir()
    write_state(folder / "state" / "state.json", {"hinted": True})
    return folder
