"""Watching the files of a provider's code."""

from __future__ import annotations

import asyncio
from pathlib import Path

from convtui.tui.sources import watch
from tests.builders.waiting import WITHIN


async def test_a_module_that_did_not_exist_counts_and_nothing_else_does(tmp_path: Path) -> None:
    file = tmp_path / "bot.py"
    file.write_text("import nothing\n")
    places = [file, tmp_path]
    before = await asyncio.to_thread(watch.stamp, places, ".py")
    assert before.keys() == {file}
    waits = asyncio.ensure_future(watch.changed(places, before, ".py"))
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "run.jsonl").write_text("{}\n")
    assert watch.stamp(places, ".py") == before
    (tmp_path / "nothing.py").write_text("\n")
    async with asyncio.timeout(WITHIN):
        await waits
    assert watch.stamp(places, ".py").keys() == {file, tmp_path / "nothing.py"}


async def test_what_was_saved_before_it_looks_is_seen_at_once(tmp_path: Path) -> None:
    file = tmp_path / "bot.py"
    file.write_text("a\n")
    before = watch.stamp([file])
    file.write_text("other\n")
    async with asyncio.timeout(WITHIN):
        await watch.changed([file], before)
