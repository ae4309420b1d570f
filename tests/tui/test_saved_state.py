"""What is remembered is there again, and a disk that fails stops nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from convtui.tui.saved_state import SavedState


async def test_values_written_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    saved = SavedState(tmp_path / "deep" / "state.json")
    assert await saved.recall() == {}
    await asyncio.gather(*(saved.remember(**{f"key{n}": n}) for n in range(5)))
    await saved.remember(key0="new")
    again = SavedState(tmp_path / "deep" / "state.json")
    assert again.read() == {"key0": "new", "key1": 1, "key2": 2, "key3": 3, "key4": 4}


async def test_without_a_file_or_a_disk_nothing_is_remembered(tmp_path: Path) -> None:
    nowhere = SavedState(None)
    await nowhere.remember(theme="light")
    assert await nowhere.recall() == {}
    (tmp_path / "file").write_text("")
    refused = SavedState(tmp_path / "file" / "state.json")
    await refused.remember(theme="light")
    assert await refused.recall() == {}


async def test_what_was_read_or_added_last_is_known_without_the_disk(tmp_path: Path) -> None:
    state = SavedState(tmp_path / "state.json")
    assert state.last_read == {}
    await state.remember(theme="light")
    assert state.last_read == {"theme": "light"}
    other = SavedState(tmp_path / "state.json")
    other.read()
    assert other.last_read == {"theme": "light"}
