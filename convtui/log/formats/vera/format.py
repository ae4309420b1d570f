"""VERA-MH's run folders: transcripts and logs in, transcripts and logs out.

The sessions of one run (same tag, persona, model and run number in one folder) are one
conversation. Raw replies and metadata come from the `.log` beside a transcript, where there is one.
Which signal ended a session is in neither file, so it is in no record either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.files.regular import open_regular, read_regular
from convtui.log.formats.record_builder import RecordBuilder
from convtui.log.formats.registry import Format, Imported, imported_provider
from convtui.log.formats.vera.export import write
from convtui.log.formats.vera.layout import read_transcript
from convtui.log.formats.vera.log_files import ParsedLog, is_log, parse_log
from convtui.log.formats.vera.names import (
    FileName,
    Middle,
    folder_of,
    home_of,
    known_personas,
    parse_file,
    parse_folder,
    split_middle,
)
from convtui.log.formats.vera.records import Files, ReadTurn, Session, session_records
from convtui.log.formats.vera.transcripts import is_transcript
from convtui.records.times import NO_ZONE, time_of_stamp
from convtui.records.values import drop_none

_HEAD: Final = 4096
MAX_FILE: Final = 64 << 20
"""Bytes that a transcript or a log may have."""


def detect(path: Path) -> bool:
    """Whether a file is a transcript or a log of VERA-MH, or a folder holds some."""
    if path.is_dir():
        return parse_folder(path.name) is not None or any(
            parse_file(inner.stem).run is not None and detect(inner) for inner in _files(path)
        )
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD).decode("utf-8", "replace")
    except OSError:
        return False
    if path.suffix.lower() == ".log":
        return is_log(head)
    return path.suffix.lower() == ".txt" and is_transcript(head)


def read(path: Path) -> Iterator[Imported]:
    """The conversations in a transcript, a log, or a folder of them, in the order of file names.

    Raises `FileError` for a file that cannot be read, is too large, or begins with no turn.
    """
    return read_part(path, 0, 1)


def read_part(path: Path, part: int, parts: int) -> Iterator[Imported]:
    """One of `parts` parts of what `read()` gives; they count from 0. Raises `FileError`."""
    if not path.is_dir():
        yield _conversation([_pair(path)])
        return
    groups: dict[tuple[str, ...], list[Files]] = {}
    for file in _files(path):
        if not detect(file):
            continue
        pair = _pair(file)
        if file.suffix == ".log" and pair.text is not None:
            continue  # comes with its transcript
        home = str(file.parent.parent if file.parent.name == "logs" else file.parent)
        groups.setdefault((home, *pair.name.conversation), []).append(pair)
    if not groups:
        raise FileError(f"{path}: no transcripts of VERA-MH in this folder")
    first, last = (len(groups) * end // parts for end in (part, part + 1))
    for group in [*groups.values()][first:last]:
        if any(pair.text is not None for pair in group):
            # An overall log beside those of the sessions has nothing of its own.
            group = [pair for pair in group if pair.text is not None or pair.name.index]  # noqa: PLW2901
        yield _conversation(sorted(group, key=lambda pair: pair.name.index or 1))


def _files(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.suffix.lower() in (".txt", ".log")]
    return sorted(path for path in files if path.is_file() and "evaluations" not in path.parts)


def _pair(path: Path) -> Files:
    name = parse_file(path.stem)
    if path.suffix.lower() == ".log":
        texts = (path.with_suffix(".txt"), path.parent.parent / f"{path.stem}.txt")
        text = texts[0] if path.parent.name != "logs" else texts[1]
        return Files(name, text if text.is_file() else None, path)
    beside = (path.parent / "logs" / f"{path.stem}.log", path.with_suffix(".log"))
    return Files(name, path, next((log for log in beside if log.is_file()), None))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE:
            raise FileError(f"{path}: larger than {MAX_FILE >> 20} MB, which no transcript is")
        return read_regular(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error


def _session(files: Files) -> Session:
    log = ParsedLog()
    if files.log is not None:
        log = parse_log(_read(files.log).decode("utf-8", "replace"))
    warnings: list[str] = []
    layout, sha256 = None, None
    if files.text is None:
        turns = [
            ReadTurn(turn.speaker, turn.response or "", turn, ended_by=turn.ended_by)
            for turn in log.turns
            if turn.response is not None
        ]
    else:
        data = _read(files.text)
        text, sha256 = data.decode("utf-8", "replace"), hashlib.sha256(data).hexdigest()
        if "\ufffd" in text and text.encode() != data:
            warnings.append(f"{files.text.name} is not valid UTF-8 everywhere")
        try:
            blocks, layout = read_transcript(text)
        except ValueError as error:
            raise FileError(f"{files.text}: {error}: no transcript of VERA-MH") from None
        turns = [ReadTurn(b.speaker, b.text, None, b.line, b.ended_by) for b in blocks]
        warnings += _match(turns, log, files)
    for earlier, later in pairwise(turns):
        if earlier.speaker == later.speaker:
            where = f"line {later.line}: " if later.line else ""
            warnings.append(
                f"{where}two turns of the {later.speaker} in a row; perhaps the second is text of"
                " the first that looks like a turn"
            )
    name = files.name
    return Session(
        name.index or 1,
        name.session_type or "default",
        turns,
        log,
        files,
        warnings,
        layout=layout,
        sha256=sha256,
    )


def _match(turns: list[ReadTurn], log: ParsedLog, files: Files) -> list[str]:
    """Gives turns what the log says about them; a sentence where the two files disagree."""
    if not log.turns:
        return []
    by_number = {turn.number: turn for turn in log.turns}
    apart = 0
    for number, read_turn in enumerate(turns, 1):
        logged = by_number.get(number)
        same = logged is not None and (logged.response or "").strip() == read_turn.text.strip()
        if logged is not None and logged.speaker == read_turn.speaker and same:
            read_turn.logged = logged
            read_turn.ended_by = read_turn.ended_by or logged.ended_by
        else:
            apart += 1
    if not apart:
        return []
    assert files.log is not None
    return [f"{apart} of {len(turns)} turns are not the same in {files.log.name}; left as they are"]


def _conversation(group: Sequence[Files]) -> Imported:
    sessions = [_session(files) for files in group]
    name = group[0].name
    source = group[0].sources[0]
    middle = _middle(name, sessions, source)
    created, whence = _created(sessions, name, source)
    builder = RecordBuilder("vera")
    termination: dict[str, Any] | None = None
    for session in sessions:
        termination = session_records(session, created, builder)
    return Imported(
        id=_identity(group),
        created_at=created,
        persona=middle.persona or "unknown persona",
        provider=_provider(sessions, source),
        records=builder.take(),
        sources=[path for files in group for path in files.sources],
        details=_details(name, middle, sessions, source, whence),
        termination=termination,
    )


def _middle(name: FileName, sessions: list[Session], source: Path) -> Middle:
    logged = next((s.log.persona for s in sessions if s.log.persona), {})
    folder = folder_of(source)
    personas = [str(logged["Prompt"])] if "Prompt" in logged else known_personas(source.parent)
    if not name.middle:
        return Middle(str(logged.get("Prompt", "")), logged.get("Model"))
    model = logged.get("Model") or (folder.user if folder is not None else None)
    return split_middle(name.middle, personas, model)


def _provider(sessions: list[Session], source: Path) -> dict[str, Any]:
    logged = next((s.log.provider for s in sessions if s.log.provider), {})
    folder = folder_of(source)
    model = logged.get("Model") or (folder.chatbot if folder is not None else None)
    return imported_provider(logged.get("Name") or model or "unknown", model)


def _created(sessions: list[Session], name: FileName, source: Path) -> tuple[datetime, str]:
    """When it began, and which of the things that tell was asked."""
    started = next((s.log.started for s in sessions if s.log.started is not None), None)
    folder = folder_of(source)
    if started is not None:
        return started, "log"
    if name.at is not None:
        return name.at, "file name"
    if folder is not None:
        return folder.at, "folder name"
    return time_of_stamp(int(source.stat().st_mtime)), "file's date"


def _details(
    name: FileName, middle: Middle, sessions: list[Session], source: Path, whence: str
) -> dict[str, Any]:
    folder = folder_of(source)
    details: dict[str, Any] = {
        "format": "vera",
        "created_at_from": whence,
        # None of the times in logs and names has one.
        "created_at_zone": None if whence == "file's date" else NO_ZONE,
        "tag": name.tag,
        "run": name.run,
        "persona_model": middle.model,
        "workflow": middle.workflow,
        "folder": folder.as_dict() if folder is not None else None,
        "home": home_of(source),
        "sessions": [_session_details(session) for session in sessions],
    }
    return drop_none(details)


def _session_details(session: Session) -> dict[str, Any]:
    log, files = session.log, session.files
    details: dict[str, Any] = {
        "index": files.name.index,
        "type": files.name.session_type,
        "file": files.sources[0].name,
        "sha256": session.sha256,
        "layout": session.layout.as_dict() if session.layout is not None else None,
        "transcript": str(files.text.absolute()) if files.text else None,
        "log": str(files.log.absolute()) if files.log else None,
        "persona": log.persona,
        "provider": log.provider,
        "settings": log.settings,
        "completed": log.completed,
    }
    return {key: value for key, value in details.items() if value}


def _identity(group: Sequence[Files]) -> str:
    """Follows from the names and the contents, so that the same files are the same conversation."""
    digest = hashlib.sha256()
    for files in group:
        for path in files.sources:
            digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0")
            with open_regular(path) as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
            digest.update(b"\0")
    return digest.hexdigest()[:32]


FORMAT = Format(
    name="vera",
    description="VERA-MH transcripts (.txt) and logs, single or a run folder",
    detect=detect,
    read=read,
    write=write,
    read_part=read_part,
)
