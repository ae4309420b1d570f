"""Role themes as Textual themes and palettes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from textual.theme import Theme as TextualTheme

from convtui.tui.palette import DARK, Palette

if TYPE_CHECKING:
    from convtui.errors import Problem
    from convtui.themes import Theme

DEFAULT = "dark"


def textual_theme(
    colors: Mapping[str, str], *, name: str, dark: bool = True, monochrome: bool = False
) -> TextualTheme:
    """The Textual theme of a set of role colours; its name gets a prefix of its own."""
    c = {**DARK, **colors}
    mono = {"block-cursor-text-style": "bold reverse"} if monochrome else {}
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
            "border": c["border"],
            "border-blurred": c["border"],
            "text-muted": c["muted"],
            "foreground-muted": c["muted"],
            "text-accent": c["accent"],
            "text-primary": c["accent"],
            "text-error": c["error"],
            "text-warning": c["held"],
            "text-success": c["ok"],
            "block-cursor-background": c["selection"],
            "block-cursor-foreground": c["text"],
            "block-cursor-blurred-background": c["panel"],
            "block-cursor-blurred-foreground": c["text"],
            "input-selection-background": c["selection"],
            "screen-selection-background": c["selection"],
            "scrollbar": c["border"],
            "scrollbar-hover": c["muted"],
            "scrollbar-active": c["accent"],
            "scrollbar-background": c["background"],
            "scrollbar-background-hover": c["background"],
            "scrollbar-background-active": c["background"],
            "scrollbar-corner-color": c["background"],
            "button-focus-text-style": "bold underline",
            **mono,
        },
    )


def load(name: str, user_dir: Path | None) -> tuple[dict[str, Theme], list[Problem]]:
    """The theme `name` (a built-in one, or one of the user's) with those it builds on.

    Blocking. A broken or missing theme is among the problems; the default is there in any case.
    """
    from convtui.errors import Problem, did_you_mean
    from convtui.paths import builtin_dir
    from convtui.themes import load_themes

    dirs = [builtin_dir("themes")]
    if user_dir is not None:
        dirs.append(user_dir)
    found, problems = load_themes(dirs)
    if name not in found:
        problems.append(Problem(f"there is no theme {name!r}{did_you_mean(name, found)}"))
    return found, problems


def palette_of(theme: Theme | None, *, monochrome: bool) -> Palette:
    """The palette of a theme; the default one for None."""
    if theme is None:
        return Palette(monochrome=monochrome)
    return Palette(theme.colors, monochrome=monochrome or theme.monochrome)
