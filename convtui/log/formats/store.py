"""Writes imported conversations as logs. Nothing in them is executed.

A log has its name once it is whole: until then it is written under another, which the next import
writes anew if this one is killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from convtui import __version__
from convtui.errors import FileError, LogError
from convtui.files.regular import open_regular
from convtui.log.formats.growth import is_grown
from convtui.log.formats.registry import Imported, ParentIn
from convtui.log.names import lock_path, partial_path
from convtui.log.reader import digest_until
from convtui.log.run_summary import log_files, summarise
from convtui.log.writer import LogWriter
from convtui.records.models import ConversationEnded, Header, ParentRef, Record, TurnCommitted
from convtui.records.values import as_object, drop_none
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import safe_name
from convtui.text_checks.text_checks import TextChecks

_DIGITS: Final = (6, 12, 32)
"""How much of an id a name has: more where conversations would have the same name."""
_HEADER: Final = 8 << 20
_HELD_BACK: Final = 1 << 18
"""Bytes that are written at once: a log has its name, and its readers, once it is whole."""


class _Clock(LogWriter):
    """A writer whose time is that of the records."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def log_name(imported: Imported, digits: int = _DIGITS[0]) -> str:
    """The file name of an imported conversation."""
    parts = [
        imported.created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
        safe_name(imported.persona, default="persona"),
        safe_name(str(imported.provider.get("name", "")), default="provider"),
    ]
    workflow = imported.details.get("workflow")
    if isinstance(workflow, str):
        parts.append(safe_name(workflow, default="workflow"))
    return "_".join([*parts, imported.id[:digits]]) + ".jsonl"


def place_of(imported: Imported, folder: Path) -> tuple[Path, bool]:
    """The log of an imported conversation below `folder`, and whether it is there already, whole.

    A log of that name with another conversation in it stays as it is: the name becomes longer.
    """
    path = folder
    for digits in _DIGITS:
        path = folder / log_name(imported, digits)
        if not path.exists():
            return path, False
        if _header_of(path).get("id") == imported.id:
            return path, not is_half(path)
    return path, True


def is_half(path: Path) -> bool:
    """Whether a log is what an import has left that was killed: it has no end.

    Imports do not leave such logs any more; older versions did.
    """
    summary = summarise(path)
    return summary.origin == "import" and not (summary.closed or summary.running)


def told_apart(conversations: Iterable[Imported]) -> Iterator[Imported]:
    """The same conversations, those that are equal to an earlier one with an id of their own.

    It follows from how many came before, so that another import finds them there.
    """
    counts: dict[str, int] = {}
    for imported in conversations:
        seen = counts[imported.id] = counts.get(imported.id, 0) + 1
        if seen == 1:
            yield imported
            continue
        identity = hashlib.sha256(f"{imported.id} {seen}".encode()).hexdigest()
        imported.id = identity[: len(imported.id)]
        imported.details = {**imported.details, "repetition": seen}
        yield imported


def _header_of(path: Path) -> dict[str, Any]:
    try:
        with open_regular(path) as file:
            header = json.loads(file.readline(_HEADER))
    except (OSError, ValueError, RecursionError):
        return {}
    return as_object(header)


class Parents:
    """Finds the logs that imported conversations go back to, among those of a folder."""

    def __init__(self, folder: Path, redactor: Redactor | None = None) -> None:
        self._folder = folder
        self._redactor = redactor
        self._known: dict[str, Path] = {}
        self._sessions: dict[tuple[str, str], list[Path]] | None = None
        self._files: dict[tuple[str, str], list[Path]] = {}

    def add(self, imported: Imported, log: Path) -> None:
        """Tells of a conversation that is in the folder."""
        self._known[imported.id] = log
        session = imported.details.get("session_id")
        if session and self._sessions is not None:
            key = str(imported.details.get("format")), str(session)
            self._sessions.setdefault(key, []).insert(0, log)

    def find(self, parent: ParentIn) -> ParentRef | None:
        """The log of a parent, as a header names it; None where it is not there."""
        path = self._known.get(parent.id) if parent.id else None
        if path is None:
            path = next(iter(self._of_session(parent.format, parent.session_id)), None)
        return None if path is None else _parent_ref(path)

    def earlier(self, imported: Imported) -> ParentRef | None:
        """The log of the same conversation, from when its file was shorter; None without one."""
        format = str(imported.details.get("format"))
        session = imported.details.get("session_id")
        if session:
            logs = self._of_session(format, str(session))
        else:
            logs = self._of_file(format, file_of(imported))
        # One that this import has written is another conversation of the same file.
        ours = set(self._known.values())
        for path in logs:
            if path in ours or is_half(path):
                continue
            if is_grown(imported, path, self._redactor):
                return _parent_ref(path)
        return None

    def _of_session(self, format: str, session: str) -> list[Path]:
        if self._sessions is None:
            self._look()
        assert self._sessions is not None
        return self._sessions.get((format, session), [])

    def _of_file(self, format: str, file: str) -> list[Path]:
        if self._sessions is None:
            self._look()
        return self._files.get((format, file), []) if file else []

    def _look(self) -> None:
        """Reads what the logs of imported sessions are called there; the newest come first."""
        self._sessions = {}
        for entry in log_files(self._folder):
            path = Path(entry.path)
            imported = as_object(_header_of(path).get("imported"))
            if not imported:
                continue
            format = str(imported.get("format"))
            self._sessions.setdefault((format, str(imported.get("session_id"))), []).append(path)
            self._files.setdefault((format, str(imported.get("file"))), []).append(path)


def file_of(imported: Imported) -> str:
    """The name of the file that a conversation is from, without its folder."""
    return imported.sources[0].name if imported.sources else ""


def _parent_ref(path: Path) -> ParentRef | None:
    records = summarise(path).records
    if not records:
        return None
    try:
        sha256, _ = digest_until(path, records - 1)
    except (LogError, OSError):
        return None
    id_ = str(_header_of(path).get("id") or "")
    return ParentRef(id=id_, file=str(path.resolve()), seq=records - 1, sha256=sha256)


def store(
    imported: Imported,
    folder: Path,
    redactor: Redactor | None = None,
    parents: Parents | None = None,
    earlier: ParentRef | None = None,
) -> Path:
    """Writes one conversation below `folder`; returns its log.

    `parents` finds the log that it goes back to, if it does; `earlier` is the log of what its file
    was before it grew. Raises `LogError` when there already is one of that name, or it cannot be
    written, and what reading its records raises: nothing is left then.
    """
    path, there = place_of(imported, folder)
    if there:
        raise LogError(f"{path}: the log exists already, and logs are never overwritten")
    parent, change = earlier, None if earlier is None else {"kind": "grown"}
    if earlier is None and imported.parent is not None:
        parent = (parents or Parents(folder, redactor)).find(imported.parent)
        change = {"kind": imported.parent.kind}
    partial = partial_path(path)
    _remove_stale(partial)
    writer: _Clock | None = None
    try:
        writer = _Clock(partial, redactor, held_back=_HELD_BACK)
        writer.write(
            Header(
                id=imported.id,
                created_at=imported.created_at.astimezone(UTC).isoformat(),
                origin="import",
                parents=[] if parent is None else [parent],
                change=change,
                persona=imported.persona,
                provider=imported.provider,
                scenario={},
                environment={"convtui": __version__},
                imported=drop_none({**imported.details, "file": file_of(imported) or None}),
            )
        )
        _write_records(imported, writer, redactor)
        _publish(partial, path)
    except BaseException as error:
        if writer is None and isinstance(error, LogError):
            # Another import is writing it.
            raise
        if writer is not None:
            writer.abandon()
        # A signal may arrive at any line.
        partial.unlink(missing_ok=True)
        lock_path(partial).unlink(missing_ok=True)
        if writer is not None and writer.broken is not None:
            # Not the file that is read, but the disk.
            raise LogError(str(error)) from error
        raise
    return path


def _write_records(imported: Imported, writer: _Clock, redactor: Redactor | None) -> None:
    totals: dict[str, Any] = {"turns": 0, "sessions": 0}
    provider = str(imported.provider.get("name") or "")
    noticer = TextChecks(names={"persona": imported.persona, "provider": provider})
    # Spans are those of the text as it is written.
    text_of: Callable[[str], str] = str if redactor is None else writer.clean
    for seconds, record in imported.records:
        writer.seconds = max(writer.seconds, seconds)
        writer.write(_with_flags(record, noticer, text_of))
        totals["turns"] += isinstance(record, TurnCommitted)
        totals["sessions"] += record.TYPE == "session.started"
    if imported.termination is not None:
        writer.write(ConversationEnded(termination=imported.termination))
    writer.close(imported.termination, totals)


def _remove_stale(partial: Path) -> None:
    """Removes what an import has left that was killed. Raises `LogError` if it still runs."""
    if not partial.exists():
        return
    lock = FileLock(str(lock_path(partial)), timeout=0)
    try:
        with lock:
            partial.unlink(missing_ok=True)
    except Timeout:
        raise LogError(f"{partial}: another import is writing it") from None
    except OSError as error:
        raise FileError(f"{partial}: cannot be removed: {error.strerror}") from error


def _publish(partial: Path, path: Path) -> None:
    """Gives a whole log its name. Nothing is overwritten but half a log of the same conversation.

    Raises `LogError` where another import was first.
    """
    if path.exists() and is_half(path):
        Path(partial).replace(path)
        return
    try:
        os.link(partial, path)
    except FileExistsError:
        raise LogError(f"{path}: is there already: another import was first") from None
    except OSError:
        # Some file systems have no links.
        Path(partial).rename(path)
        return
    with contextlib.suppress(OSError):
        partial.unlink()


def _with_flags(record: Record, noticer: TextChecks, text_of: Callable[[str], str]) -> Record:
    """What is said, with what the heuristics notice about it; a file's own word on it counts.

    `text_of` gives the text without secrets.
    """
    if not isinstance(record, TurnCommitted):
        return record
    noticed = noticer.notice(record.session or 1, record.speaker, text_of(record.text))
    if not noticed or record.flags is not None:
        return record
    return record.model_copy(update={"flags": noticed})
