"""What the heuristics notice while a conversation runs, and breakpoints on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.helpers import Bot, run, scenario


@pytest.mark.parametrize(
    ("expression", "reply", "where"),
    [
        ("~role & ~speaker provider", "User: I want my money back", "commit"),
        ("~fault provider", "User: I want my money back", "commit"),
        ("~fault provider", "<think>hm</think>Well.", "commit"),
        ("~repeat & ~speaker provider", "It leaves at nine in the evening.", "commit"),
    ],
)
async def test_a_breakpoint_fires_before_it_is_said(
    tmp_path: Path, expression: str, reply: str, where: str
) -> None:
    ran = await run(
        scenario(Bot("It leaves at nine in the evening.", reply), ["When?", "And what now?"]),
        tmp_path,
        breakpoints=[expression],
        plan=[],
    )
    held = [each for each in ran.driver.holds if each["reason"] == "breakpoint"]
    assert [(each["turn"], each["stage"]) for each in held] == [(4, where)]
    assert held[0]["detail"] == f"breakpoint 1: {expression}"
