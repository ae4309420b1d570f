"""Writes imported conversations as logs. Nothing in them is executed."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from convtui import __version__
from convtui.errors import LogError
from convtui.log.formats.registry import Imported, ParentIn
from convtui.log.reader import digest_until
from convtui.log.run_summary import log_files, summarise
from convtui.log.writer import LogWriter
from convtui.records.models import ConversationEnded, Header, ParentRef, Record, TurnCommitted
from convtui.records.values import as_object
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import safe_name
from convtui.text_checks.text_checks import TextChecks

_DIGITS: Final = (6, 12, 32)
"""How much of an id a name has: more where conversations would have the same name."""
_HEADER: Final = 8 << 20


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
    """The log of an imported conversation below `folder`, and whether it is there already.

    A log of that name with another conversation in it stays as it is: the name becomes longer.
    """
    path = folder
    for digits in _DIGITS:
        path = folder / log_name(imported, digits)
        if not path.exists():
            return path, False
        if _header_of(path).get("id") == imported.id:
            return path, True
    return path, True


def _header_of(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            header = json.loads(file.readline(_HEADER))
    except (OSError, ValueError, RecursionError):
        return {}
    return as_object(header)


class Parents:
    """Finds the logs that imported conversations go back to, among those of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Path] = {}
        self._sessions: dict[tuple[str, str], Path] | None = None

    def add(self, imported: Imported, log: Path) -> None:
        """Tells of a conversation that is in the folder."""
        self._known[imported.id] = log

    def find(self, parent: ParentIn) -> ParentRef | None:
        """The log of a parent, as a header names it; None where it is not there."""
        path = self._known.get(parent.id) if parent.id else None
        if path is None:
            path = self._all().get((parent.format, parent.session_id))
        records = None if path is None else summarise(path).records
        if path is None or not records:
            return None
        try:
            sha256, _ = digest_until(path, records - 1)
        except (LogError, OSError):
            return None
        id_ = str(_header_of(path).get("id") or "")
        return ParentRef(id=id_, file=str(path.resolve()), seq=records - 1, sha256=sha256)

    def _all(self) -> dict[tuple[str, str], Path]:
        """The logs of imported sessions by what they are called there; the newest counts."""
        if self._sessions is None:
            self._sessions = {}
            for entry in log_files(self._folder):
                imported = as_object(_header_of(Path(entry.path)).get("imported"))
                key = str(imported.get("format")), str(imported.get("session_id"))
                self._sessions.setdefault(key, Path(entry.path))
        return self._sessions


def store(
    imported: Imported,
    folder: Path,
    redactor: Redactor | None = None,
    parents: Parents | None = None,
) -> Path:
    """Writes one conversation below `folder`; returns its log.

    `parents` finds the log that it goes back to, if it does. Raises `LogError` when there already
    is one of that name, or it cannot be written.
    """
    path, _ = place_of(imported, folder)
    parent = None
    if imported.parent is not None:
        parent = (parents or Parents(folder)).find(imported.parent)
    writer = _Clock(path, redactor)
    try:
        writer.write(
            Header(
                id=imported.id,
                created_at=imported.created_at.astimezone(UTC).isoformat(),
                origin="import",
                parents=[] if parent is None else [parent],
                change=None if imported.parent is None else {"kind": imported.parent.kind},
                persona=imported.persona,
                provider=imported.provider,
                scenario={},
                environment={"convtui": __version__},
                imported=imported.details,
            )
        )
        totals: dict[str, Any] = {"turns": 0, "sessions": 0}
        provider = str(imported.provider.get("name") or "")
        noticer = TextChecks(names={"persona": imported.persona, "provider": provider})
        for seconds, record in imported.records:
            writer.seconds = max(writer.seconds, seconds)
            writer.write(_with_flags(record, noticer, redactor))
            totals["turns"] += isinstance(record, TurnCommitted)
            totals["sessions"] += record.TYPE == "session.started"
        if imported.termination is not None:
            writer.write(ConversationEnded(termination=imported.termination))
        writer.close(imported.termination, totals)
    except BaseException:
        # Half of a conversation would look like a crashed run.
        writer.abandon()
        path.unlink(missing_ok=True)
        raise
    return path


def _with_flags(record: Record, noticer: TextChecks, redactor: Redactor | None) -> Record:
    """What is said, with what the heuristics notice about it; a file's own word on it counts."""
    if not isinstance(record, TurnCommitted):
        return record
    # Spans are those of the text as it is written.
    text = record.text if redactor is None else redactor.text(record.text)
    noticed = noticer.notice(record.session or 1, record.speaker, text)
    if not noticed or record.flags is not None:
        return record
    return record.model_copy(update={"flags": noticed})
