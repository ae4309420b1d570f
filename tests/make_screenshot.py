"""Draws the README's picture: a discarded turn, replayed on the real screen.

Run it with `make screenshot`.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path

from tests.places import ROOT

LOG = ROOT / "sample_runs" / "discarded.jsonl"
TARGET = ROOT / ".github" / "screenshot.svg"
SIZE = (120, 36)


async def draw(home: Path) -> str:
    """The picture as SVG."""
    from convtui.config.settings import load_config
    from convtui.transcript.fold import Flag
    from convtui.tui.app import ConvtuiApp
    from convtui.tui.screens.debugger.screen import DebuggerScreen
    from tests.tui.harness.sample import until

    config = load_config({}, {"CONVTUI_HOME": str(home)}, home)
    app = ConvtuiApp(lambda app: app.runs.recording(LOG), config=config)
    async with app.run_test(size=SIZE) as pilot:
        screen = app.screen
        assert isinstance(screen, DebuggerScreen)
        replay = screen.replay
        assert replay is not None
        await until(pilot, lambda: not replay.loading and screen.view.shown_items)
        turns = replay.transcript.turns
        dropped = next(turn for turn in turns if turn.flags & Flag.DISCARDED)
        screen.view.go_to(dropped.index)
        inspector = screen.inspector
        await until(pilot, lambda: inspector._turn is dropped and inspector._detail is not None)
        await pilot.pause(0.2)
        picture = app.export_screenshot(title="convtui replay sample_runs/discarded.jsonl")
    # The name of the picture's parts is made from its text, which names no time and no folder.
    # No font is fetched from anywhere.
    picture = re.sub(r"@font-face\s*\{.*?\}", "", picture, flags=re.S)
    return re.sub(r"terminal-\d+", "terminal", picture)


def main() -> None:
    """Writes the picture."""
    os.environ.pop("NO_COLOR", None)
    os.environ["COLORTERM"] = "truecolor"
    with tempfile.TemporaryDirectory() as home:
        picture = asyncio.run(draw(Path(home)))
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(picture, encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(picture):,} characters")


if __name__ == "__main__":
    main()
