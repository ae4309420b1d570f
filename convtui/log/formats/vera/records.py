"""What VERA-MH's two files of a session say, as records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from convtui.log.formats.record_builder import NO_REASON, RecordBuilder
from convtui.log.formats.vera.layout import Layout
from convtui.log.formats.vera.log_files import LoggedTurn, ParsedLog, usage_figures
from convtui.log.formats.vera.names import FileName, folder_of
from convtui.records.codec import Speaker
from convtui.records.models import LlmResponse, ResponseProcessed
from convtui.records.values import as_text


@dataclass(slots=True)
class Files:
    """The two files of one session."""

    name: FileName
    text: Path | None
    log: Path | None

    @property
    def sources(self) -> list[Path]:
        """Those that there are."""
        return [path for path in (self.text, self.log) if path is not None]


@dataclass(slots=True)
class ReadTurn:
    """One turn, from whichever file has it."""

    speaker: Speaker
    text: str
    logged: LoggedTurn | None = None
    line: int = 0
    ended_by: str | None = None


@dataclass(slots=True)
class Session:
    """One session, from both files."""

    index: int
    session_type: str
    turns: list[ReadTurn]
    log: ParsedLog
    files: Files
    warnings: list[str] = field(default_factory=list)
    layout: Layout | None = None
    """That of its transcript, where there is one."""
    sha256: str | None = None
    """That of the bytes of its transcript."""


def session_records(session: Session, created: datetime, builder: RecordBuilder) -> dict[str, Any]:
    """Tells a builder of a session; returns its ending."""
    log, turns = session.log, session.turns
    folder = folder_of(session.files.sources[0])
    stated: Speaker = (
        "provider" if log.settings.get("Persona speaks first") == "False" else "persona"
    )
    _advance(builder, created, log.started)
    builder.begin_session(
        turns[0].speaker if turns else stated,
        session.session_type,
        number=session.index,
        max_turns=log.max_turns or (folder.turns if folder is not None else None),
    )
    for turn in turns:
        _advance(builder, created, turn.logged.at if turn.logged is not None else None)
        _turn(turn, builder)
    for warning in session.warnings:
        builder.warn("import", warning)
    for failure in log.failures:
        builder.warn("import" if failure in session.warnings else "failed_there", failure)
    termination = _termination(session)
    builder.end_session(termination, duration=log.duration)
    return termination


def _advance(builder: RecordBuilder, created: datetime, at: datetime | None) -> None:
    if at is not None:
        builder.advance((at - created).total_seconds())


def _turn(turn: ReadTurn, builder: RecordBuilder) -> None:
    builder.start_turn(turn.speaker)
    logged = turn.logged
    metadata = dict((logged.metadata if logged is not None else None) or {})
    raw = metadata.pop("raw_response", None)
    human = metadata.pop("human", None) is True
    if logged is not None and logged.unreadable is not None:
        metadata["logging"] = logged.unreadable
    if isinstance(raw, str):
        usage = usage_figures(metadata.get("usage"))
        builder.add(
            LlmResponse(
                **builder.envelope,
                raw=raw,
                usage=dict(usage) or None,
                response_id=as_text(metadata.get("response_id")) or None,
                model=as_text(metadata.get("model")) or None,
                reasoning=as_text(metadata.get("reasoning_content")) or None,
                finish_reason=as_text(metadata.get("stop_reason")) or None,
                duration=_seconds(metadata.get("response_time_seconds")),
            )
        )
        if raw != turn.text:
            builder.add(
                ResponseProcessed(
                    **builder.envelope, text=turn.text, changed=True, hook="not recorded"
                )
            )
    builder.commit(turn.text, metadata=_plain(metadata) or None, human=human or None)


def _termination(session: Session) -> dict[str, Any]:
    """Why a session ended, as far as its files say."""
    turns, log = session.turns, session.log
    if log.failures:
        return {
            "kind": "failed",
            "by": "harness",
            "reason": log.failures[0].split("\n", 1)[0],
            "at_turn": len(turns),
        }
    if turns and turns[-1].ended_by is not None:
        # The line stands after the turn that ended it; older files name a model and a persona.
        return {
            "kind": "early_termination",
            "by": turns[-1].speaker,
            "reason": f"{turns[-1].ended_by} signaled termination (the signal is not recorded)",
            "at_turn": len(turns),
        }
    nothing = "" if turns else "No conversation recorded; "
    return {
        "kind": "completed",
        "by": "harness",
        "reason": f"{nothing}{NO_REASON}",
        "at_turn": len(turns),
        "detail": {"recorded": False},
    }


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _plain(value: Any) -> Any:
    """What a literal holds as JSON data."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)
