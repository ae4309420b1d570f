"""A copy of a log, and of what belongs to it, in which everything secret is masked.

All that is shared is made from such a copy, so that no format has masking of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from convtui.errors import LogError
from convtui.files.regular import open_regular
from convtui.log.formats.export_fold import not_written
from convtui.log.lines import MAX_LINE
from convtui.log.names import notes_path, tool_results_path, wire_path
from convtui.records.codec import RecordDict, decode, encode
from convtui.secrets.redactor import Redactor
from convtui.secrets.sharing import Collector, SharingRedactor
from convtui.share.masked_records import MaskedRecords
from convtui.text.boundary import safe_name

_DAMAGED: Final = b"(a damaged line, not shared)\n"
"""Stands for a line that is no record: nobody can tell what is in it."""
_STRUCTURE_OF_NOTES: Final = ("t", "flag", "fault")
Texts = dict[int, str]
"""What was streamed of each call that was never answered, by the `seq` of its request."""


def copy_masked(log: Path, folder: Path, redactor: SharingRedactor, *, wire: bool = False) -> Path:
    """Copies a log, its notes and its tool results into a folder; with `wire` its exchanges, too.

    Returns the path of the copy. Raises `LogError` for a log that cannot be read, `FileError` for a
    copy that cannot be written, `UsageError` for a pattern that takes too long.
    """
    streamed = _streamed(log) if redactor.patterns else {}
    if redactor.patterns:
        texts = Collector()
        for _ in _copies(log, texts, streamed, patterns=True):
            pass
        redactor.search([*texts.texts, log.stem])
    # Names of logs are made from those of personas.
    masked = redactor.text(log.stem)
    stem = masked if masked == log.stem else safe_name(masked, limit=120)
    files: dict[Path, list[bytes]] = {}
    for path, line in _copies(log, redactor, streamed, patterns=bool(redactor.patterns), wire=wire):
        files.setdefault(path, []).append(line)
    for path, lines in files.items():
        target = folder / (stem + path.name.removeprefix(log.stem))
        try:
            target.write_bytes(b"".join(lines))
            target.chmod(0o600)
        except OSError as error:
            raise not_written(target, error) from error
    return folder / f"{stem}{log.suffix}"


def _copies(
    log: Path, redactor: Redactor, streamed: Texts, *, patterns: bool, wire: bool = False
) -> Iterator[tuple[Path, bytes]]:
    """The lines of all files, masked, each with its file."""
    records = MaskedRecords(redactor)

    def record(data: RecordDict) -> RecordDict:
        if patterns and data.get("type") == "llm.partial":
            # A piece of a reply may end in the middle of what is to be masked.
            data = {**data, "text": streamed.pop(data.get("call"), "")}  # type: ignore[arg-type]
        return records.mask(data)

    streamed = dict(streamed)
    for line in _lines(log):
        yield log, _masked(line, record)
    for line in _lines(notes_path(log), needed=False):
        yield notes_path(log), _masked(line, lambda data: _note(data, redactor))
    for line in _lines(tool_results_path(log), needed=False):
        yield tool_results_path(log), _masked(line, lambda data: _result(data, redactor), compact)
    for line in _lines(wire_path(log), needed=False) if wire else ():
        yield wire_path(log), _masked(line, redactor.data, compact)


def compact(data: RecordDict) -> bytes:
    """One line of a file beside a log."""
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def _masked(
    line: bytes,
    mask: Callable[[RecordDict], Any],
    write: Callable[[RecordDict], bytes] = encode,
) -> bytes:
    try:
        return write(mask(decode(line)))
    except (ValueError, RecursionError):
        return _DAMAGED


def _note(data: RecordDict, redactor: Redactor) -> RecordDict:
    masked: RecordDict = redactor.data(data)
    return {**masked, **{name: data[name] for name in _STRUCTURE_OF_NOTES if name in data}}


def _result(data: RecordDict, redactor: Redactor) -> RecordDict:
    masked: RecordDict = redactor.data(data)
    return {"seq": data.get("seq"), **masked}


def _lines(path: Path, *, needed: bool = True) -> Iterator[bytes]:
    """The whole lines of a file; one that was torn off is left out."""
    try:
        with open_regular(path) as file:
            while line := file.readline(MAX_LINE):
                if line.endswith(b"\n"):
                    yield line
    except OSError as error:
        if needed:
            raise LogError(f"{path}: cannot be read: {error.strerror}") from error


def _streamed(log: Path) -> Texts:
    texts: Texts = {}
    for line in _lines(log):
        if b'"llm.' not in line:
            continue
        try:
            record = decode(line)
        except (ValueError, RecursionError):
            continue
        call = record.get("call")
        if record.get("type") == "llm.partial" and isinstance(call, int):
            texts[call] = texts.get(call, "") + str(record.get("text", ""))
        elif record.get("type") == "llm.response":
            texts.pop(call, None)  # type: ignore[arg-type]
    return texts
