"""Themes as plain data: named colours for roles. The TUI makes Textual themes of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from convtui.errors import DataFileError, FileError, Problem, did_you_mean
from convtui.files.yaml import load_yaml, validate

TEXT_ROLES = (
    "text",
    "muted",
    "accent",
    "persona",
    "provider",
    "signal",
    "discard",
    "changed",
    "error",
    "warning",
    "ok",
    "human",
    "tool",
    "held",
    "reasoning",
)
"""Roles that colour words; readable on `background`, `surface` and `panel`."""
FIELD_ROLES = ("background", "surface", "panel", "selection")
"""Roles that lie behind words."""
ROLES = (*FIELD_ROLES, "border", *TEXT_ROLES)

StyleWord = Literal["bold", "dim", "italic", "underline", "strike", "reverse"]


class Theme(BaseModel):
    """A theme: `#rrggbb` for every role, and style words for roles that need more than colour."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    name: str
    """Lower-case letters, digits and hyphens."""
    description: str = ""
    """One sentence."""
    dark: bool = True
    """Whether words are lighter than what is behind them."""
    monochrome: bool = False
    """Whether roles are told apart by style words alone."""
    colors: dict[str, str]
    """Role to `#rrggbb`. In a user's theme, roles left out come from `dark` or `light`."""
    styles: dict[str, list[StyleWord]] = Field({})
    """Role to style words."""

    _source: str = PrivateAttr(default="")

    @property
    def source(self) -> str:
        """The file it was loaded from."""
        return self._source

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", value):
            raise ValueError("use lower-case letters, digits and hyphens")
        return value

    @field_validator("colors")
    @classmethod
    def _colors(cls, value: dict[str, str]) -> dict[str, str]:
        for role, color in value.items():
            if role not in ROLES:
                raise ValueError(f"unknown role {role!r}{did_you_mean(role, ROLES)}")
            if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
                raise ValueError(f"{role}: write a colour as '#rrggbb', not {color!r}")
        return value

    @field_validator("styles")
    @classmethod
    def _roles(cls, value: dict[str, list[StyleWord]]) -> dict[str, list[StyleWord]]:
        for role in value:
            if role not in ROLES:
                raise ValueError(f"unknown role {role!r}{did_you_mean(role, ROLES)}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Theme:
        missing = [role for role in ROLES if role not in self.colors]
        if missing:
            raise ValueError(f"colours are missing for: {', '.join(missing)}")
        return self

    def style(self, role: str) -> str:
        """The style words of a role, as in `bold underline`."""
        return " ".join(self.styles.get(role, ()))

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump()


def load_theme(path: Path, known: Mapping[str, Theme] | None = None) -> Theme:
    """The theme in a YAML file; roles it leaves out come from `known["dark"]` or `["light"]`.

    Raises `FileError` or `DataFileError`.
    """
    document = load_yaml(path)
    data = document.data
    if isinstance(data, dict):
        data = dict(data)
        data.setdefault("name", path.stem)
        colors = data.get("colors", {})
        _roles_at_lines(colors, document.lines, path)
        parent = (known or {}).get("light" if data.get("dark") is False else "dark")
        if parent is not None and isinstance(colors, dict):
            data["colors"] = {**parent.colors, **colors}
            if "styles" not in data:
                data["styles"] = dict(parent.styles)
    theme = validate(Theme, data, document.lines, path, what="theme")
    theme._source = str(path)
    return theme


def _roles_at_lines(colors: object, lines: Mapping[Any, int], path: Path) -> None:
    """Refuses unknown roles and bad colours at their own lines, all at once."""
    if not isinstance(colors, dict):
        return
    problems = []
    for role, color in colors.items():
        message = ""
        if role not in ROLES:
            message = f"unknown role {role!r}{did_you_mean(str(role), ROLES)}"
        elif color is None:
            message = "the colour is missing; # begins a comment unless quoted: '#rrggbb'"
        elif not isinstance(color, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
            message = f"write a colour as '#rrggbb', not {color!r}"
        if message:
            line = lines.get(("colors", role))
            problems.append(Problem(message, path=path, line=line, key=f"colors.{role}"))
    if problems:
        raise DataFileError(problems)


def load_themes(dirs: Iterable[Path]) -> tuple[dict[str, Theme], list[Problem]]:
    """Every theme in `dirs`, later ones replacing earlier ones of the same name, and the mistakes.

    A broken theme, or a directory that is not there, never stops the others.
    """
    themes: dict[str, Theme] = {}
    problems: list[Problem] = []
    for folder in dirs:
        try:
            files = sorted(
                (path for path in folder.iterdir() if path.suffix in (".yaml", ".yml")),
                # The two that others build on come first.
                key=lambda path: (path.stem not in ("dark", "light"), path.name),
            )
        except OSError:
            continue
        for path in files:
            try:
                theme = load_theme(path, themes)
            except DataFileError as error:
                problems.extend(error.problems)
            except FileError as error:
                problems.append(Problem(str(error)))
            else:
                themes[theme.name] = theme
    return themes, problems
