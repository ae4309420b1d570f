"""A picture of the screen: two files, new names, no secrets."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from rich.style import Style

from convtui.config.settings import load_config
from convtui.tui.app import ConvtuiApp
from convtui.tui.photograph import masked, pictures, save
from tests.tui.harness.sample import refund, until, write_log

SECRET = "sk-planted-0123456789abcdef"


def test_a_picture_has_the_colours_and_its_text_the_words() -> None:
    line = [Segment("held ", Style(color="#ff0000")), Segment("日本")]
    svg, text = pictures([line, [Segment("<b>&   ")]], 12, "convtui")
    assert text == "held 日本\n<b>&\n"
    assert "#ff0000" in svg
    assert "&lt;b&gt;&amp;" in svg


def test_a_secret_is_starred_out_cell_by_cell() -> None:
    bold = Style(bold=True)
    line = [Segment("key ab"), Segment("日c", bold), Segment(" end")]
    shown = masked(line, lambda text: [(4, 8)])
    assert shown == [Segment("key **"), Segment("***", bold), Segment(" end")]


def test_names_are_never_taken_twice(tmp_path: Path) -> None:
    (tmp_path / "a-2.txt").write_text("mine")
    paths = [save([[Segment("x")]], 4, tmp_path / ".", "a") for _ in range(3)]
    assert [path.name for path in paths] == ["a.svg", "a-3.svg", "a-4.svg"]
    assert (tmp_path / "a-2.txt").read_text() == "mine"


def test_a_secret_of_the_environment_is_in_neither_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    picture = save(
        [[Segment("api_key "), Segment(SECRET[:9]), Segment(SECRET[9:])]], 60, tmp_path, "a"
    )
    for path in (picture, picture.with_suffix(".txt")):
        text = path.read_text()
        assert SECRET[3:9] not in text
        assert SECRET[-8:] not in text
        assert path.stat().st_mode & 0o077 == 0


async def test_the_key_saves_what_is_on_the_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    log = write_log(tmp_path / "a.jsonl", refund())
    config = load_config()
    app = ConvtuiApp(lambda app: app.runs.recording(log), config=config)
    folder = config.paths.exports_dir
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Bot" in str(app.screen.query_one("#top").render_line(0).text))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: list(folder.glob("*.txt")))
        await until(pilot, lambda: app._notifications)
        notice = " ".join(notice.message for notice in app._notifications)
        text = next(folder.glob("*.txt")).read_text()
    assert str(folder) in notice
    assert "my_provider.py:Bot" in text
    assert len(text.splitlines()) == 24
