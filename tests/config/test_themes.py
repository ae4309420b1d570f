"""Themes: readable by measure, and never fatal when broken."""

from __future__ import annotations

import colorsys
import math
from itertools import combinations
from pathlib import Path

import pytest

from convtui.config.paths import builtin_dir
from convtui.config.themes import FIELD_ROLES, ROLES, TEXT_ROLES, load_theme, load_themes
from convtui.tui.drawing.theming import builtin_theme, theme_view

BUILT_IN = ("dark", "light", "high-contrast", "mono")


def luminance(color: str) -> float:
    """The relative luminance of `#rrggbb`, 0 to 1 (WCAG 2)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_built_in_themes_load() -> None:
    themes, problems = load_themes([builtin_dir("themes")])
    assert tuple(themes) == BUILT_IN
    assert not problems
    assert [theme.name for theme in themes.values() if theme.monochrome] == ["mono"]
    assert not themes["light"].dark


@pytest.mark.parametrize("name", BUILT_IN)
def test_words_can_be_read(name: str) -> None:
    theme = load_themes([builtin_dir("themes")])[0][name]
    needed = 7.0 if name == "high-contrast" else 4.5
    weak = {
        (role, behind): round(contrast(theme.colors[role], theme.colors[behind]), 2)
        for role in TEXT_ROLES
        for behind in FIELD_ROLES
        if contrast(theme.colors[role], theme.colors[behind]) < needed
    }
    assert not weak
    assert contrast(theme.colors["border"], theme.colors["background"]) >= 1.8


def apart(one: str, other: str) -> float:
    """The distance of two colours in CIELAB; some 10 are seen at a glance."""

    def lab(color: str) -> tuple[float, float, float]:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
        )
        x, y, z = (
            t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116
            for t in (
                (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505,
                0.2126 * red + 0.7152 * green + 0.0722 * blue,
                (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089,
            )
        )
        return 116 * y - 16, 500 * (x - y), 200 * (y - z)

    return math.dist(lab(one), lab(other))


def hue(color: str) -> float:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return colorsys.rgb_to_hsv(red, green, blue)[0] * 360


@pytest.mark.parametrize("name", ["dark", "light", "high-contrast"])
def test_roles_are_told_apart_by_colour(name: str) -> None:
    colors = load_themes([builtin_dir("themes")])[0][name].colors
    near = {
        pair: round(distance, 1)
        for pair in combinations(TEXT_ROLES, 2)
        if (distance := apart(colors[pair[0]], colors[pair[1]])) < 13
    }
    assert not near
    assert abs(hue(colors["held"]) - hue(colors["persona"])) >= 10
    assert apart(colors["held"], colors["persona"]) >= 25


def test_mono_has_no_colour_and_tells_roles_apart() -> None:
    theme = load_themes([builtin_dir("themes")])[0]["mono"]
    assert all(color[1:3] == color[3:5] == color[5:7] for color in theme.colors.values())
    for role in ("signal", "discard", "changed", "error", "held", "human", "tool"):
        assert theme.style(role)
    assert theme.style("text") == ""


def test_contrast_by_the_book() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_users_theme_builds_on_dark_or_light(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("dark: false\ncolors: {accent: '#123456'}\n")
    themes, problems = load_themes([builtin_dir("themes"), tmp_path])
    assert not problems
    assert themes["mine"].colors["accent"] == "#123456"
    assert themes["mine"].colors["text"] == themes["light"].colors["text"]
    assert set(themes["mine"].colors) == set(ROLES)
    assert themes["mine"].source == str(tmp_path / "mine.yaml")


def test_broken_themes_are_told_and_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("colors:\n  acent: '#123456'\n  text: red\n  muted: #fff\n")
    (tmp_path / "b.yaml").write_text("colours: {}\nname: 'A [b]'\n")
    (tmp_path / "c.yaml").write_bytes(b"\xff\xff")
    (tmp_path / "d.yaml").mkdir()
    (tmp_path / "ok.yaml").write_text("name: ok\ncolors: {}\nstyles: {signal: [bold]}\n")
    themes, problems = load_themes([builtin_dir("themes"), tmp_path, tmp_path / "missing"])
    assert set(themes) == {*BUILT_IN, "ok"}
    text = "\n".join(map(str, problems))
    assert "a.yaml:2: colors.acent: unknown role 'acent', did you mean 'accent'?" in text
    assert "a.yaml:3: colors.text: write a colour as '#rrggbb', not 'red'" in text
    assert "a.yaml:4: colors.muted: the colour is missing" in text
    assert "b.yaml:1: colours: unknown key 'colours', did you mean 'colors'?" in text
    assert "b.yaml:2: name:" in text
    assert "c.yaml:1: byte 0xFF" in text
    assert "d.yaml: this is a directory" in text


def test_a_theme_alone_must_be_whole(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("colors: {text: '#123456'}\n")
    with pytest.raises(Exception, match="colours are missing for: background"):
        load_theme(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_first_frame_reads_built_in_themes_as_they_are(name: str) -> None:
    theme = load_themes([builtin_dir("themes")])[0][name]
    assert builtin_theme(name) == theme_view(theme)
    assert builtin_theme(f"../{name}") is None
