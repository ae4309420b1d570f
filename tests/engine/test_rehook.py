"""What counts as recorded: failures of hooks and discards of real runs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from convtui.engine.rehook import Rehook
from convtui.protocol import REHOOK_CURSOR, RehookSpec
from convtui.providers.base import Provider
from tests.engine.helpers import Bot, run, scenario


class Failing(Bot):
    """Its hook fails."""

    def post_process_response(self, text: str) -> str:
        raise ValueError("boom")


class Dropping(Bot):
    """Drops what holds a signal."""

    def should_discard_response(self, signals: list[Any]) -> bool:
        return True


def again(log: Path, provider: Provider, folder: Path) -> dict[str, Any]:
    cursor = folder / "cursor"
    cursor.write_bytes(struct.pack(REHOOK_CURSOR, -1, -1))
    (found,) = Rehook(RehookSpec([str(log)], str(cursor)), provider).logs()
    return found


async def test_a_hook_that_failed_then_is_mended_or_as_it_was(tmp_path: Path) -> None:
    ran = await run(scenario(Failing("fine")), tmp_path)
    assert ran.ended == ("failed", "provider")
    found = again(ran.path, Bot(), tmp_path)
    assert [change["kinds"] for change in found["changed"]] == [["mended"]]
    assert again(ran.path, Failing(), tmp_path)["changed"] == []


async def test_what_was_dropped_is_compared_with_what_is_dropped_now(tmp_path: Path) -> None:
    what = scenario(Dropping("[[X]] no", "fine", signals=["[[X]]"]), ["one"])
    ran = await run(what, tmp_path, plan=[])
    assert again(ran.path, Dropping(signals=["[[X]]"]), tmp_path)["changed"] == []
    (change,) = again(ran.path, Bot(signals=["[[X]]"]), tmp_path)["changed"]
    assert "discard" in change["kinds"]
