"""Records the README's debugging story: `make demonstration`.

A provider ends conversations that should go on. The story is played on the real screen with a real
engine: a breakpoint finds the signal, the provider's file is changed, its code is loaded again, the
conversation goes on, and the runs saved before prove the change. Each step is a picture, and the
pictures one after another are `.github/demonstration.svg`.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from convtui.client.engine_client import EngineHandle
from convtui.protocol import StartSpec
from convtui.scenario.scenario import Scenario
from tests.places import ROOT
from tests.tui.harness.sample import until

PROVIDER = ROOT / "tests" / "demonstration" / "desk.py"
TARGET = ROOT / ".github" / "demonstration.svg"
SIZE = (110, 30)
SECONDS = 6
"""How long each picture stands."""
FIX = '''
    def extract_signals(self, raw: str) -> list[Any]:
        """A goodbye is the end only where it is the last word."""
        found = super().extract_signals(raw)
        return [match for match in found if not raw[match.end :].strip(" .!")]
'''
SAVED = {
    "Ben": ["My ferry was cancelled.", "The 09:15 on Friday.", "Yes, please.", "Thanks!"],
    "Ida": ["Can I take my bicycle?", "And is the 09:15 on time?", "Thanks!"],
    "Jonas": ["My crossing was cancelled.", "Thanks anyway."],
    "Lea": ["Is there room for a bicycle?", "Thanks!"],
}
MAYA = ["Hi, my ferry was cancelled.", "The 09:15 on Friday.", "Yes, please.", "Great, thanks."]


def scenario(folder: Path, name: str, script: list[str]) -> Scenario:
    """A conversation of a scripted persona with the desk."""
    return Scenario.from_data(
        {
            "name": "refund",
            "persona": {"name": name, "script": script},
            "provider": "desk.py:Desk",
            "breakpoints": ["~signal"] if name == "Maya" else [],
        },
        base=folder,
    )


async def saved_runs(folder: Path, runs: Path) -> list[Path]:
    """Runs of some days ago, made with the provider as it was."""
    logs = []
    for name, script in SAVED.items():
        handle = EngineHandle()
        what = scenario(folder, name, script)
        await handle.start(StartSpec(scenario=what.for_engine(), out_dir=str(runs), wire="off"))
        await handle.wait()
        assert handle.log_path is not None
        logs.append(handle.log_path)
    return logs


def with_the_fix(source: str) -> str:
    """The provider's file with the hook put in."""
    return source.rstrip("\n") + "\n" + FIX


def joined(pictures: list[tuple[str, str]]) -> str:
    """Captions and pictures, one after another in one SVG that moves by itself."""
    box = re.search(r'viewBox="0 0 (?P<w>[\d.]+) (?P<h>[\d.]+)"', pictures[0][1])
    assert box is not None
    width, height, bar = float(box["w"]), float(box["h"]), 64.0
    share = 100 / len(pictures)
    frames = []
    for number, (caption, picture) in enumerate(pictures, 1):
        # Each picture's styles are its own, and no font is fetched from anywhere.
        own = re.sub(r"terminal(?:-\d+)?-", f"step{number}-", picture)
        own = re.sub(r"<!--.*?-->|^<\?xml[^>]*>", "", own, flags=re.S)
        own = re.sub(r"@font-face\s*\{.*?\}", "", own, flags=re.S)
        own = own.replace("<svg ", f'<svg y="{bar:g}" width="{width:g}" height="{height:g}" ', 1)
        delay = (number - 1) * SECONDS
        frames.append(
            f'<g class="step" style="animation-delay:{delay}s">'
            f'<text class="caption" x="24" y="42">{number}/{len(pictures)}  {caption}</text>'
            f"{own}</g>"
        )
    style = f"""
    .step {{ opacity: 0; animation: step {SECONDS * len(pictures)}s step-end infinite; }}
    .step:first-of-type {{ opacity: 1; }}
    .caption {{ font: 26px sans-serif; fill: #7d8590; }}
    @keyframes step {{ 0% {{ opacity: 1; }} {share:.4f}% {{ opacity: 0; }} 100% {{ opacity: 0; }} }}
    @media (prefers-reduced-motion: reduce) {{ .step {{ animation: none; }} }}
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height + bar:g}">'
        f"<style>{style}</style>{''.join(frames)}</svg>\n"
    )


class Story:
    """The steps, each played until the screen shows what it is about."""

    def __init__(self, app: Any, pilot: Pilot[Any], provider: Path) -> None:
        self.app = app
        self.pilot = pilot
        self.provider = provider
        self.pictures: list[tuple[str, str]] = []

    async def shows(self, *words: str) -> None:
        """Waits until all of `words` are on the screen."""
        await until(self.pilot, lambda: all(word in self.text() for word in words))

    def text(self) -> str:
        """What is on the screen."""
        screen = self.app.screen
        return "\n".join(
            "".join(segment.text for segment in strip)
            for strip in screen._compositor.render_strips(screen.size)
        )

    async def picture(self, caption: str) -> None:
        """Takes a picture of the screen as it is."""
        await self.pilot.pause(0.3)
        self.pictures.append((caption, self.app.export_screenshot(title="convtui")))

    async def found_and_fixed(self) -> None:
        """The live conversation: held, mended, loaded again, gone on with."""
        press, app = self.pilot.press, self.app
        await self.shows("breakpoint 1: ~signal", "held at signals")
        app.clear_notifications()
        await self.picture("Held by a breakpoint on ~signal: “goodbye”, inside a sentence")
        for _ in range(4):
            await press("s")
            await self.pilot.pause(0.1)
            if (app.screen.conversation.hold or {}).get("reason") == "ending":
                break
        await self.shows("1:4 terminate", "HELD")
        app.clear_notifications()
        await self.picture("Stepped on, stage by stage: this word would end the conversation")
        self.provider.write_text(with_the_fix(self.provider.read_text()))
        await self.shows("desk.py changed: R reloads it.")
        await self.picture("extract_signals() mended and saved: the change is noticed")
        app.clear_notifications()
        await press("R")
        await self.shows("OLD", "NEW", "Changed: signals")
        await self.picture("R: the same reply through the old and the new code, no model call")
        await press("escape")
        await until(self.pilot, lambda: app.screen.conversation.hold is not None)
        app.clear_notifications()
        await press("space")
        await self.shows("Great, thanks.", "You are welcome", "HELD")
        await self.picture("The same conversation goes on to its real goodbye")

    async def proved(self) -> None:
        """The runs saved before, through the new hooks."""
        await self.shows("4 logs")
        await self.pilot.press("enter")
        await self.shows("desk.py:Desk")
        await self.picture("rehook: every saved reply through the new hooks proves the change")


async def play(folder: Path) -> list[tuple[str, str]]:
    """The whole story as captions and pictures."""
    from convtui.config.settings import load_config
    from convtui.tui.app import ConvtuiApp
    from convtui.tui.screens.rehook.screen import RehookScreen

    provider = folder / PROVIDER.name
    shutil.copy(PROVIDER, provider)
    os.chdir(folder)  # so that no picture names it
    logs = await saved_runs(folder, folder / "runs")
    config = load_config({}, {"CONVTUI_HOME": str(folder / "home")}, folder)
    spec = StartSpec(
        scenario=scenario(folder, "Maya", MAYA).for_engine(),
        out_dir=str(folder / "runs"),
        wire="off",
        watched=True,
    )
    app = ConvtuiApp(lambda app: app.runs.debugger(spec), config=config)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        story = Story(app, pilot, provider)
        await story.found_and_fixed()
    app = ConvtuiApp(
        lambda app: RehookScreen(app.keymap, logs, f"{provider.name}:Desk"), config=config
    )
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        proof = Story(app, pilot, provider)
        await proof.proved()
    return story.pictures + proof.pictures


def main() -> None:
    """Plays the story and writes the picture."""
    os.environ.pop("NO_COLOR", None)
    os.environ["COLORTERM"] = "truecolor"
    with tempfile.TemporaryDirectory() as home:
        os.environ["CONVTUI_HOME"] = str(Path(home) / "home")
        pictures = asyncio.run(play(Path(home)))
    TARGET.parent.mkdir(exist_ok=True)
    moving = joined(pictures)
    TARGET.write_text(moving, encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(pictures)} steps, {len(moving):,} characters")


if __name__ == "__main__":
    main()
