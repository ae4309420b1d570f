"""Writes imported conversations as logs. Nothing in them is executed."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

from convtui import __version__
from convtui.events import ConversationEnded, Header, Record, TurnCommitted
from convtui.heuristics import Noticer
from convtui.log.formats.registry import Imported
from convtui.log.writer import LogWriter
from convtui.text import Redactor, safe_name


class _Clock(LogWriter):
    """A writer whose time is that of what is told."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds


def log_name(imported: Imported) -> str:
    """The file name of an imported conversation."""
    parts = [
        imported.created_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"),
        safe_name(imported.persona, default="persona"),
        safe_name(str(imported.provider.get("name", "")), default="provider"),
    ]
    workflow = imported.told.get("workflow")
    if isinstance(workflow, str):
        parts.append(safe_name(workflow, default="workflow"))
    return "_".join([*parts, imported.id[:6]]) + ".jsonl"


def store(imported: Imported, folder: Path, redactor: Redactor | None = None) -> Path:
    """Writes one conversation below `folder`; returns its log.

    Raises `LogError` when there already is one of that name, or it cannot be written.
    """
    path = folder / log_name(imported)
    writer = _Clock(path, redactor)
    try:
        writer.write(
            Header(
                id=imported.id,
                created_at=imported.created_at.astimezone(UTC).isoformat(),
                origin="import",
                persona=imported.persona,
                provider=imported.provider,
                scenario={},
                environment={"convtui": __version__},
                imported=imported.told,
            )
        )
        totals: dict[str, Any] = {"turns": 0, "sessions": 0}
        noticer = Noticer()
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


def _with_flags(record: Record, noticer: Noticer, redactor: Redactor | None) -> Record:
    """What is said, with what the heuristics notice about it; a file's own word on it counts."""
    if not isinstance(record, TurnCommitted):
        return record
    # Spans are those of the text as it is written.
    text = record.text if redactor is None else redactor.text(record.text)
    noticed = noticer.notice(record.session or 1, record.speaker, text)
    if not noticed or record.flags is not None:
        return record
    return record.model_copy(update={"flags": noticed})
