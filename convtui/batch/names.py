"""Short names of cells: files are named by them, and rows of tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Final

from convtui.scenario.provider_spec import ProviderSpec
from convtui.text.boundary import safe_name

_LIMIT: Final = 80
_PART: Final = 28
_SHORT: Final = {"temperature": "t"}
"""Keys that go by a letter before their number."""
_VALUE: Final = re.compile(r"[A-Za-z0-9.+-][A-Za-z0-9.+ -]{0,15}")


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


def session_labels(lists: Sequence[Sequence[str]]) -> list[str]:
    """The session types of each list, joined; without those that all lists begin with."""
    shared = 0
    while all(len(each) > shared + 1 for each in lists) and len({e[shared] for e in lists}) == 1:
        shared += 1
    return [part("_".join(each[shared:])) for each in lists]


def setting_labels(
    entries: Sequence[Mapping[str, Any]], public: Sequence[Mapping[str, Any]]
) -> list[str]:
    """`t0.2`, `max_turns_6`, or the text alone where all entries set one and the same key.

    `set` and the entry's number for values that are too long for a name, or secret: those that are
    others in `public`.
    """
    keys = {tuple(entry) for entry in entries if entry}
    alone = len(keys) == 1 and all(len(key) == 1 for key in keys)
    return [
        _settings_label(entry, shown, number, alone)
        for number, (entry, shown) in enumerate(zip(entries, public, strict=True), 1)
    ]


def _settings_label(
    settings: Mapping[str, Any], public: Mapping[str, Any], number: int, alone: bool
) -> str:
    labels = []
    for key, value in settings.items():
        name = key.rsplit(".", 1)[-1]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        plain = isinstance(value, (str, int, float)) and public.get(key) == value
        if not plain or not _VALUE.fullmatch(text):
            return f"set{number}"
        text = text.strip().replace(" ", "_")
        if alone and isinstance(value, str):
            labels.append(text)
        elif name in _SHORT:
            labels.append(f"{_SHORT[name]}{text}")
        else:
            labels.append(f"{safe_name(name)}_{text}")
    label = "-".join(labels)
    if not label:
        return "as_is"
    return label if len(label) <= _PART else f"set{number}"


def told_apart(names: Iterable[tuple[Hashable, str]]) -> dict[Hashable, str]:
    """A name for each entry: its own, with a number behind it where others had it before."""
    result: dict[Hashable, str] = {}
    used: Counter[str] = Counter()
    for entry, name in names:
        if entry not in result:
            used[name] += 1
            result[entry] = name if used[name] == 1 else f"{name} ({used[name]})"
    return result


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
