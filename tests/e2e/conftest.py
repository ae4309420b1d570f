"""A home of its own for every program that is started."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """`CONVTUI_HOME` and the working directory's parent."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder
