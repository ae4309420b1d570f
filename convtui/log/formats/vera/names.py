"""What VERA-MH's file and folder names say.

Transcripts are `{6 hex}_{persona}_{model}[_{workflow}]_run{N}[_s{i}_{session type}].txt`, a little
earlier `..._run{N}_{i}_{session type}.txt`, and at first
`conversation_{persona}_{model}_run{N}_{date}_{time}_{ms}.txt`. Their parts may hold underscores.
Run folders are `p_{user}__a_{chatbot}__t{turns}__r{runs}__{date}_{time}`, older ones with something
after that, or with parameters in braces after a model.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from convtui.files.regular import read_regular

_FILE: Final = re.compile(
    r"(?P<tag>[0-9a-f]{6})_(?P<middle>.+?)_run(?P<run>\d+)(?:_s?(?P<index>\d+)_(?P<type>.+))?"
)
_OLDEST: Final = re.compile(
    r"conversation_(?P<middle>.+?)_run(?P<run>\d+)_(?P<at>\d{8}_\d{6})(?:_(?P<ms>\d+))?"
)
_FOLDER: Final = re.compile(
    r"p_(?P<user>.+)__a_(?P<chatbot>.+)__t(?P<turns>\d+)__r(?P<runs>\d+)__(?P<at>\d{8}_\d{6})"
    r"(?P<tail>.*)"
)
_MAX_NAME: Final = 255
"""Bytes that file systems take for a name."""
_BRACES: Final = re.compile(r"_?(\{.*\})")


@dataclass(slots=True, frozen=True)
class FileName:
    """A transcript's name taken apart; `middle` is persona, model and workflow together."""

    stem: str
    tag: str | None = None
    middle: str = ""
    run: int | None = None
    index: int | None = None
    session_type: str | None = None
    at: datetime | None = None

    @property
    def conversation(self) -> tuple[str, ...]:
        """The same for all sessions of one conversation."""
        if self.tag is None:
            return (self.stem,)
        return (self.tag, self.middle, str(self.run))


@dataclass(slots=True, frozen=True)
class FolderName:
    """A run folder's name taken apart. Models are in the spelling of the folder."""

    user: str
    chatbot: str
    turns: int
    runs: int
    at: datetime
    more: str = ""
    """What does not belong there: parameters, or what stands after the time."""
    name: str = ""
    """The whole as it stands there."""

    def as_dict(self) -> dict[str, Any]:
        """As it goes into a header."""
        data: dict[str, Any] = {
            "user": self.user,
            "chatbot": self.chatbot,
            "turns": self.turns,
            "runs": self.runs,
            "at": self.at.isoformat(),
            "name": self.name,
        }
        return {**data, "more": self.more} if self.more else data


def parse_file(stem: str) -> FileName:
    """A file name without its ending; one that is of no known form has its stem only."""
    match = _FILE.fullmatch(stem)
    if match:
        index = match["index"]
        return FileName(
            stem,
            match["tag"],
            match["middle"],
            int(match["run"]),
            int(index) if index else None,
            match["type"],
        )
    match = _OLDEST.fullmatch(stem)
    if match:
        return FileName(stem, middle=match["middle"], run=int(match["run"]), at=_time(match["at"]))
    return FileName(stem)


def parse_folder(name: str) -> FolderName | None:
    """A run folder's name, or None for another folder's."""
    match = _FOLDER.fullmatch(name)
    at = _time(match["at"]) if match else None
    if match is None or at is None:
        return None
    more = [*_BRACES.findall(match["user"]), *_BRACES.findall(match["chatbot"])]
    if match["tail"].strip("_ "):
        more.append(match["tail"].lstrip("_"))
    return FolderName(
        _BRACES.sub("", match["user"]),
        _BRACES.sub("", match["chatbot"]),
        int(match["turns"]),
        int(match["runs"]),
        at,
        " ".join(more),
        name,
    )


def folder_of(file: Path) -> FolderName | None:
    """The run folder that a transcript or a log lies in."""
    for parent in list(file.absolute().parents)[:3]:
        folder = parse_folder(parent.name)
        if folder is not None:
            return folder
    return None


def home_of(file: Path) -> str | None:
    """Where in its run folder a transcript lies, or that of a log: `conversations`, or empty."""
    folder = file.absolute().parent
    if folder.name == "logs":
        folder = folder.parent
    for depth, parent in enumerate([folder, *folder.parents][:3]):
        if parse_folder(parent.name) is not None:
            return "/".join(folder.parts[len(folder.parts) - depth :])
    return None


def kept_name(name: object) -> str | None:
    """The name of an imported file or folder, if a file can safely have it; a log may be forged."""
    if not isinstance(name, str) or not name.isprintable() or set(name) & set("/\\"):
        return None
    if name.startswith((".", "-", " ")) or not 0 < len(name.encode()) <= _MAX_NAME:
        return None
    if os.name == "nt" and (set(name) & set('<>:"|?*') or name.endswith((".", " "))):
        return None
    return name


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%d_%H%M%S").astimezone()
    except (ValueError, OverflowError, OSError):
        return None


def _token(name: str) -> str:
    """A persona's name as file names have it."""
    return name.replace(" ", "_").replace(".", "")


def _flat(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", text).lower()


@dataclass(slots=True, frozen=True)
class Middle:
    """Persona, the persona's model and the workflow, as far as they can be told apart."""

    persona: str
    model: str | None = None
    workflow: str | None = None


def split_middle(middle: str, personas: Iterable[str] = (), model: str | None = None) -> Middle:
    """Takes the middle of a file name apart.

    `personas` are names that there may be (the longest that fits counts), `model` is the one that
    a log or the folder names. Without help the persona is what stands before the first underscore.
    """
    persona, rest = "", ""
    for name in sorted(personas, key=len, reverse=True):
        for spelled in (_token(name), name):
            if name and (middle == spelled or middle.startswith(f"{spelled}_")):
                persona, rest = name, middle[len(spelled) + 1 :]
                break
        if persona:
            break
    else:
        places = [n for n, char in enumerate(middle) if char == "_"]
        fits = [n for n in places if model and _begins(middle[n + 1 :], model)]
        position = fits[0] if fits else (places[0] if places else len(middle))
        persona, rest = middle[:position], middle[position + 1 :]
    if model and _begins(rest, model):
        return Middle(persona, rest[: len(model)], rest[len(model) + 1 :] or None)
    return Middle(persona, rest or None)


def _begins(text: str, model: str) -> bool:
    flat, wanted = _flat(text), _flat(model)
    return bool(wanted) and (flat == wanted or flat.startswith(f"{wanted}_"))


def known_personas(folder: Path) -> list[str]:
    """The names in the persona tables near a folder."""
    names: list[str] = []
    for home in [folder.absolute(), *list(folder.absolute().parents)[:3]]:
        for table in [*sorted(home.glob("personas*.tsv")), *sorted(home.glob("data/personas*"))]:
            with contextlib.suppress(OSError, csv.Error, UnicodeDecodeError):
                if table.suffix == ".tsv" and table.stat().st_size < 8 << 20:
                    text = read_regular(table).decode("utf-8-sig")
                    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t")
                    names += [row["Name"].strip() for row in rows if row.get("Name")]
    return list(dict.fromkeys(names))
