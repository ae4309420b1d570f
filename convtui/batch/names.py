"""Short names of cells: files are named by them, and rows of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from convtui.scenario.provider_spec import ProviderSpec
from convtui.text.boundary import safe_name

_LIMIT: Final = 80
_PART: Final = 28
_SHORT: Final = {"temperature": "t"}
"""Keys that go by a letter before their number."""
_VALUE: Final = re.compile(r"[A-Za-z0-9.+-]{1,16}")


def part(text: str) -> str:
    """`text` as a part of a name: letters, digits, `_`, `-`, and dots inside."""
    pieces = [safe_name(piece, default="") for piece in text.split(".")]
    return ".".join(filter(None, pieces))[:_PART].strip("._-") or "unnamed"


def provider_label(spec: ProviderSpec) -> str:
    """The shortest that tells what a SPEC names: a model, a class, the file of a log."""
    if spec.kind == "litellm":
        return part(spec.target.rsplit("/", 1)[-1])
    if spec.kind == "recorded":
        return part(PurePath(spec.target).stem)
    return part(spec.name or spec.target or spec.kind)


def longer_provider_label(spec: ProviderSpec) -> str:
    """The same with where it is from, where the short one does not tell two apart."""
    if spec.kind == "file":
        return part(f"{PurePath(spec.target).stem}_{spec.name}")
    return part(str(spec))


def sessions_label(sessions: Sequence[str]) -> str:
    """The session types, joined."""
    return part("_".join(sessions))


def settings_label(settings: Mapping[str, Any], public: Mapping[str, Any], number: int) -> str:
    """`t0.2` or `max_turns_6`; `set` and the entry's number for values that are too long for a
    name, or secret (other than in `public`)."""
    labels = []
    for key, value in settings.items():
        name = key.rsplit(".", 1)[-1]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        plain = isinstance(value, (str, int, float)) and public.get(key) == value
        if not plain or not _VALUE.fullmatch(text):
            return f"set{number}"
        short = _SHORT.get(name)
        labels.append(f"{short}{text}" if short else f"{safe_name(name)}_{text}")
    label = "-".join(labels)
    if not label:
        return "as_is"
    return label if len(label) <= _PART else f"set{number}"


def unique(names: Iterable[str]) -> list[str]:
    """The names, cut to their limit, a number behind each that was there before.

    Upper and lower case do not tell files apart everywhere.
    """
    used: set[str] = set()
    result = []
    for name in names:
        cut = name[:_LIMIT].rstrip("._-")
        candidate, number = cut, 1
        while candidate.casefold() in used:
            number += 1
            candidate = f"{cut}-{number}"
        used.add(candidate.casefold())
        result.append(candidate)
    return result
