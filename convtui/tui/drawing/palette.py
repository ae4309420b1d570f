"""Theme roles as Rich styles, in colour or monochrome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from rich.color import Color, ColorParseError
from rich.style import Style

Span = tuple[str, str]
"""A piece of text and the role that styles it."""

DARK: Final[Mapping[str, str]] = {
    "background": "#11151c",
    "surface": "#161b24",
    "panel": "#1e2530",
    "text": "#d5dae3",
    "muted": "#8391a5",
    "border": "#34404f",
    "accent": "#7aa2f7",
    "persona": "#e0af68",
    "provider": "#7dcfff",
    "signal": "#ff9e64",
    "discard": "#b4637a",
    "changed": "#9ece6a",
    "error": "#f7768e",
    "warning": "#e0af68",
    "ok": "#9ece6a",
    "human": "#bb9af7",
    "tool": "#73daca",
    "held": "#f6c177",
    "selection": "#25304a",
    "reasoning": "#8f86b0",
}
"""Every role, with its colour before a theme is loaded."""

_MONO: Final[Mapping[str, str]] = {
    "muted": "dim",
    "border": "dim",
    "accent": "bold",
    "persona": "bold",
    "provider": "bold",
    "signal": "underline",
    "discard": "dim",
    "changed": "underline",
    "error": "bold",
    "warning": "bold",
    "human": "bold",
    "held": "bold",
    "reasoning": "dim italic",
}
_EXTRA: Final[Mapping[str, str]] = {
    "struck": "strike",
    "bold": "bold",
    "under": "underline",
    "sign": "none",
}
_JSON: Final[Mapping[str, str]] = {
    "json:key": "accent",
    "json:string": "tool",
    "json:number": "signal",
    "json:literal": "human",
}
"""The colours of JSON; in monochrome only its keys stand out."""


class Palette:
    """Styles by role. `roles` maps roles to colours; `monochrome` uses text attributes only.

    A role that is missing, or whose colour is invalid, keeps its default.
    """

    def __init__(self, roles: Mapping[str, str] | None = None, monochrome: bool = False) -> None:
        self.roles: dict[str, str] = dict(DARK)
        for role, colour in (roles or {}).items():
            try:
                Color.parse(colour)
            except ColorParseError:
                continue
            self.roles[role] = colour
        self.monochrome = monochrome
        self._styles: dict[str, Style] = {}

    def style(self, role: str) -> Style:
        """The style of one or more roles, separated by spaces (`"discard struck"`).

        `mark:ROLE` uses the role's colour as background with inverse text; `on:ROLE` only sets the
        background.
        """
        style = self._styles.get(role)
        if style is None:
            style = self._styles[role] = Style.combine(self._one(name) for name in role.split())
        return style

    def background(self, role: str) -> Style:
        """A role as the background of whole highlighted rows; empty in monochrome."""
        return self.style(f"on:{role}")

    def _one(self, name: str) -> Style:
        if name in _EXTRA:
            return Style.parse(_EXTRA[name])
        if name.startswith("mark:"):
            if self.monochrome:
                return Style(reverse=True, bold=True)
            ground = self.roles.get(name[5:], self.roles["accent"])
            return Style(color=self.roles["background"], bgcolor=ground, bold=True)
        if name.startswith("on:"):
            return Style() if self.monochrome else Style(bgcolor=self.roles.get(name[3:]))
        if self.monochrome:
            name = "accent" if name == "json:key" else name
            return Style.parse(_MONO[name]) if name in _MONO else Style()
        name = _JSON.get(name, name)
        return Style(color=self.roles.get(name, self.roles["text"]))


def plain(spans: Iterable[Span]) -> str:
    """The text of `spans`, without roles."""
    return "".join(text for text, _ in spans)


def palette_of(app: object) -> Palette:
    """The palette of an app that has one, else the default."""
    palette = getattr(app, "palette", None)
    return palette if isinstance(palette, Palette) else Palette()
