"""A bundle: a zip with a log and all that belongs to it, which `convtui replay` opens.

It has `bundle.json` (what is in it, with digests), the log under its own name, its notes and long
tool results, the exchanges where they were asked for, `scenario.yaml` and `versions.json`. All
names are flat. Reading one trusts nothing: names, sizes and digests are checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from convtui import __version__
from convtui.errors import FileError, LogError
from convtui.files.regular import read_regular
from convtui.log.names import free_log_path, notes_path, tool_results_path, wire_path
from convtui.log.reader import Log, LogReader
from convtui.text.boundary import json_text, safe_name, visible_line
from convtui.text.counts import counted

CONTENTS: Final = "bundle.json"
FORMAT: Final = "convtui-bundle"
VERSION: Final = 1
MAX_BYTES: Final = 2 << 30
"""Bytes of all files together, unpacked."""
MAX_FILES: Final = 16
_MAX_CONTENTS: Final = 1 << 20
_CHUNK: Final = 1 << 20
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The time of all files in the zip, so that equal logs make equal bundles."""
_BESIDE: Final = (notes_path, tool_results_path, wire_path)


def write_bundle(log: Log, file: io.BufferedIOBase) -> list[str]:
    """Writes a bundle of a log, which is a masked copy with all that belongs to it beside it.

    Returns sentences on what is not in it.
    """
    name = f"{safe_name(log.path.stem, limit=120)}.jsonl"
    files = {name: log.path}
    for beside in _BESIDE:
        if beside(log.path).exists():
            files[beside(Path(name)).name] = beside(log.path)
    header = log.transcript.header
    texts = {
        "scenario.yaml": yaml.safe_dump(
            _plain(header.get("scenario")), allow_unicode=True, sort_keys=False
        ),
        "versions.json": json_text(
            {"convtui": __version__, "log_format": header.get("version"),
             "recorded_with": header.get("environment") or {}}
        ) + "\n",
    }  # fmt: skip
    described: dict[str, Any] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, path in files.items():
            described[member] = _add(archive, member, read_regular(path))
        for member, text in texts.items():
            described[member] = _add(archive, member, text.encode("utf-8", "replace"))
        contents = {"format": FORMAT, "version": VERSION, "log": name, "files": described}
        _add(archive, CONTENTS, (json_text(contents) + "\n").encode())
    parents = header.get("parents") or []
    if not parents:
        return []
    return [f"{counted(len(parents), 'parent log')} not in the bundle: it begins where they end"]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value if isinstance(value, dict) else {}, default=str))


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> dict[str, Any]:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    archive.writestr(info, data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


# --- reading one


@dataclass(slots=True, frozen=True)
class Unpacked:
    """Where the log of a bundle is now."""

    log: Path
    there: bool
    """Whether it was there already, with the notes that were made on it since."""


def unpack(path: Path, folder: Path) -> Unpacked:
    """Puts the log of a bundle, and what belongs to it, into a folder of logs.

    A log that is there already is not written again; no file is overwritten, and none is written
    anywhere else. Raises `LogError` for what is no sound bundle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            contents = _contents(path, archive)
            name = contents["log"]
            files = {
                member: _read(path, archive, member, described)
                for member, described in contents["files"].items()
                if member == name or member in {beside(Path(name)).name for beside in _BESIDE}
            }
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as error:
        raise LogError(f"{path}: a damaged zip: {visible_line(str(error), 200)}") from None
    except RuntimeError as error:  # a password
        raise LogError(f"{path}: cannot be unpacked: {visible_line(str(error), 200)}") from None
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror or error}") from None
    except _zip_errors() as error:
        raise LogError(f"{path}: a damaged zip: {visible_line(str(error), 200)}") from None
    return _put(path, name, files, folder)


def _zip_errors() -> tuple[type[Exception], ...]:
    import lzma
    import zlib

    # A name that is not the UTF-8 that it is said to be is a `ValueError`.
    return zlib.error, lzma.LZMAError, ValueError


def _contents(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    """What the bundle says is in it, checked against what there is."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if CONTENTS not in names:
        raise LogError(f"{path}: this is a zip, but no bundle of `convtui export --to bundle`")
    for problem in _problems(members):
        raise LogError(f"{path}: not opened: {problem}")
    try:
        contents = json.loads(_bounded(archive, CONTENTS, _MAX_CONTENTS))
    except (ValueError, RecursionError):
        raise LogError(f"{path}: {CONTENTS} in it is no JSON") from None
    if not isinstance(contents, dict) or contents.get("format") != FORMAT:
        raise LogError(f"{path}: {CONTENTS} in it is not that of a bundle")
    version, files, log = (contents.get(key) for key in ("version", "files", "log"))
    if version != VERSION:
        shown = visible_line(str(version), 20)
        raise LogError(f"{path}: a bundle of version {shown}, this one reads {VERSION}")
    known = files if isinstance(files, dict) else {}
    sound = known and all(isinstance(one, dict) for one in known.values())
    if not sound or not isinstance(log, str) or log not in known or not log.endswith(".jsonl"):
        raise LogError(f"{path}: {CONTENTS} in it names no log")
    missing = [name for name in known if name not in names]
    if missing:
        raise LogError(f"{path}: {visible_line(missing[0], 80)} is missing in it")
    return contents


def _problems(members: list[zipfile.ZipInfo]) -> Iterator[str]:
    names = [member.filename for member in members]
    if len(members) > MAX_FILES:
        yield f"it holds {len(members):,} files, a bundle has at most {MAX_FILES}"
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"{visible_line(name, 80)!r} is no name of a file in a bundle"
    if len({name.lower() for name in names}) < len(names):
        yield "two files in it have the same name"
    for member in members:
        kind = member.external_attr >> 28
        if kind not in (0, 0o10):
            yield f"{member.filename} is no ordinary file"
    total = sum(member.file_size for member in members)
    if total > MAX_BYTES:
        yield f"it unpacks to {total:,} bytes, at most {MAX_BYTES:,} are read"


def _bounded(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file's bytes; its own figures are not believed. Raises `LogError`."""
    parts: list[bytes] = []
    size = 0
    with archive.open(name) as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            if size > most:
                raise LogError(f"{archive.filename}: {name} in it is larger than it says")
            parts.append(chunk)
    return b"".join(parts)


def _read(path: Path, archive: zipfile.ZipFile, name: str, described: dict[str, Any]) -> bytes:
    data = _bounded(archive, name, archive.getinfo(name).file_size)
    if hashlib.sha256(data).hexdigest() != described.get("sha256"):
        raise LogError(f"{path}: {name} in it is damaged, or was changed: its digest differs")
    return data


def _put(path: Path, name: str, files: dict[str, bytes], folder: Path) -> Unpacked:
    stem = name.removesuffix(".jsonl")
    for known in sorted(folder.glob(f"{stem}*.jsonl")):
        same_size = known.is_file() and known.stat().st_size == len(files[name])
        if same_size and read_regular(known) == files[name]:
            return Unpacked(known, there=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log = free_log_path(folder, stem)
        targets = {beside(Path(name)).name: beside(log) for beside in _BESIDE} | {name: log}
        # The log comes last: without it the others are nothing to a list of runs.
        for member, data in sorted(files.items(), key=lambda item: item[0] == name):
            with targets[member].open("xb") as file:
                targets[member].chmod(0o600)
                file.write(data)
    except OSError as error:
        raise FileError(f"{folder}: cannot be written to: {error.strerror or error}") from None
    try:
        LogReader(log).close()
    except LogError as error:
        for target in targets.values():
            target.unlink(missing_ok=True)
        raise LogError(f"{path}: {str(error).partition(': ')[2]}") from None
    return Unpacked(log, there=False)
