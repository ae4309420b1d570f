"""Converts themes of roles to Textual themes and palettes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from textual.theme import Theme as TextualTheme

from convtui.tui.drawing.palette import DARK, Palette

if TYPE_CHECKING:
    from convtui.config.themes import Theme
    from convtui.errors import Problem

DEFAULT = "dark"
_COLOR = re.compile(r"^  (\w+): '(#[0-9a-fA-F]{6})'$", re.MULTILINE)


class ThemeView(NamedTuple):
    """The parts of a theme that screens use."""

    name: str
    dark: bool
    monochrome: bool
    colors: Mapping[str, str]


def theme_view(theme: Theme) -> ThemeView:
    return ThemeView(theme.name, theme.dark, theme.monochrome, theme.colors)


def builtin_theme(name: str) -> ThemeView | None:
    """Reads a built-in theme quickly, for the first frame; None if no theme has that name.

    It relies on the plain form of the built-in files: importing YAML and the models that validate a
    user's theme takes longer than drawing the frame.
    """
    from convtui.config.paths import builtin_dir
    from convtui.errors import FileError

    if not re.fullmatch(r"[a-z0-9-]+", name):
        return None
    try:
        text = (builtin_dir("themes") / f"{name}.yaml").read_text(encoding="utf-8")
    except (OSError, ValueError, FileError):
        return None
    lines = text.splitlines()
    return ThemeView(
        name, "dark: true" in lines, "monochrome: true" in lines, dict(_COLOR.findall(text))
    )


def textual_theme(
    colors: Mapping[str, str], *, name: str, dark: bool = True, monochrome: bool = False
) -> TextualTheme:
    """The Textual theme for a set of role colours, under a prefixed name."""
    c = {**DARK, **colors}
    # Without colours, what is chosen or selected is drawn in inverse.
    chosen, on_chosen = c["selection"], c["text"]
    if monochrome:
        chosen, on_chosen = c["text"], c["background"]
    # Fields have a ground of their own, or an edge where there is none.
    grounded = not monochrome and c["surface"] != c["background"]
    return TextualTheme(
        name=f"convtui-{name}",
        primary=c["accent"],
        secondary=c["provider"],
        accent=c["accent"],
        warning=c["held"],
        error=c["error"],
        success=c["ok"],
        foreground=c["text"],
        background=c["background"],
        surface=c["surface"],
        panel=c["panel"],
        dark=dark,
        variables={
            "persona": c["persona"],
            # Textual's name for the border of a widget that has the focus.
            "border": c["accent"],
            "border-blurred": c["border"],
            "field-edge": c["surface" if grounded else "border"],
            "text-muted": c["muted"],
            "foreground-muted": c["muted"],
            "text-disabled": c["muted"],
            "foreground-disabled": c["muted"],
            "text-accent": c["accent"],
            "text-primary": c["accent"],
            "text-error": c["error"],
            "text-warning": c["held"],
            "text-success": c["ok"],
            "block-cursor-background": chosen,
            "block-cursor-foreground": on_chosen,
            "block-cursor-blurred-background": c["panel"],
            "block-cursor-blurred-foreground": c["text"],
            "input-selection-background": chosen,
            "input-selection-foreground": on_chosen,
            "screen-selection-background": chosen,
            "screen-selection-foreground": on_chosen,
            "scrollbar": c["border"],
            "scrollbar-hover": c["muted"],
            "scrollbar-active": c["accent"],
            "scrollbar-background": c["background"],
            "scrollbar-background-hover": c["background"],
            "scrollbar-background-active": c["background"],
            "scrollbar-corner-color": c["background"],
            "button-focus-text-style": "bold underline",
        },
    )


def load(name: str, user_dir: Path | None) -> tuple[ThemeView | None, list[Problem]]:
    """Loads a built-in or user theme by name, falling back to the default one.

    Blocking. A broken or missing theme becomes a problem. Raises `FileError` when the built-in
    themes are missing.
    """
    from convtui.config.paths import builtin_dir
    from convtui.config.themes import load_themes
    from convtui.errors import Problem, did_you_mean, listed

    dirs = [builtin_dir("themes")]
    if user_dir is not None:
        dirs.append(user_dir)
    themes, problems = load_themes(dirs)
    if name not in themes:
        hint = did_you_mean(name, themes) or f"; there are {listed(sorted(themes))}"
        problems.append(Problem(f"there is no theme {name!r}{hint}"))
    theme = themes.get(name) or themes.get(DEFAULT)
    return theme_view(theme) if theme is not None else None, problems


def all_themes(user_dir: Path | None) -> list[tuple[ThemeView, str]]:
    """Every theme that can be loaded, with a few words on it. Blocking."""
    from convtui.config.paths import builtin_dir
    from convtui.config.themes import load_themes

    builtin = builtin_dir("themes")
    themes, _ = load_themes([builtin, *([user_dir] if user_dir is not None else [])])
    return [
        (
            theme_view(theme),
            "no colours" if theme.monochrome else "dark" if theme.dark else "light",
        )
        for theme in themes.values()
    ]


def palette_of(theme: ThemeView | None, *, monochrome: bool) -> Palette:
    """The palette of a theme; the default palette for None."""
    if theme is None:
        return Palette(monochrome=monochrome)
    return Palette(theme.colors, monochrome=monochrome or theme.monochrome)
