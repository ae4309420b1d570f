"""What VERA-MH's two files of a session say, as records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from convtui.log.formats.vera.layout import Layout
from convtui.log.formats.vera.log_files import LoggedTurn, ParsedLog, usage_figures
from convtui.log.formats.vera.names import FileName, folder_of
from convtui.records.codec import Speaker
from convtui.records.models import (
    LlmResponse,
    Record,
    ResponseProcessed,
    SessionEnded,
    SessionStarted,
    TurnCommitted,
    TurnStarted,
    Warned,
)
from convtui.text.boundary import near_empty, word_count


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
class Said:
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
    turns: list[Said]
    log: ParsedLog
    files: Files
    warnings: list[str] = field(default_factory=list)
    layout: Layout | None = None
    """That of its transcript, where there is one."""
    sha256: str | None = None
    """That of the bytes of its transcript."""


def session_records(
    session: Session, created: datetime, records: list[tuple[float, Record]]
) -> dict[str, Any]:
    """Appends a session's records; returns its ending."""
    index, log = session.index, session.log
    last = records[-1][0] if records else 0.0

    def add(record: Record, at: datetime | None = None) -> None:
        nonlocal last
        if at is not None:
            last = max(last, (at - created).total_seconds())
        records.append((last, record))

    folder = folder_of(session.files.sources[0])
    stated = log.settings.get("Persona speaks first")
    first: Speaker = "provider" if stated == "False" else "persona"
    add(
        SessionStarted(
            session=index,
            session_type=session.session_type,
            first_speaker=session.turns[0].speaker if session.turns else first,
            max_turns=log.max_turns or (folder.turns if folder is not None else None),
        ),
        log.started,
    )
    for number, said in enumerate(session.turns, 1):
        at = said.logged.at if said.logged is not None else None
        for record in _turn(index, number, said):
            add(record, at)
    for text in [*session.warnings, *log.failures]:
        code = "import" if text in session.warnings else "failed_there"
        add(Warned(session=index, code=code, message=text))
    termination = _ending(session)
    add(
        SessionEnded(
            session=index,
            session_type=session.session_type,
            termination=termination,
            turns=len(session.turns),
            duration=log.duration,
        )
    )
    return termination


def _turn(session: int, number: int, said: Said) -> Iterator[Record]:
    at: dict[str, Any] = {"session": session, "turn": number, "side": said.speaker}
    yield TurnStarted(**at, speaker=said.speaker)
    logged = said.logged
    metadata = dict((logged.metadata if logged is not None else None) or {})
    raw = metadata.pop("raw_response", None)
    human = metadata.pop("human", None) is True
    if logged is not None and logged.unreadable is not None:
        metadata["logging"] = logged.unreadable
    if isinstance(raw, str):
        usage = usage_figures(metadata.get("usage"))
        yield LlmResponse(
            **at,
            raw=raw,
            usage=dict(usage) or None,
            response_id=_text(metadata.get("response_id")),
            model=_text(metadata.get("model")),
            reasoning=_text(metadata.get("reasoning_content")),
            finish_reason=_text(metadata.get("stop_reason")),
            duration=_seconds(metadata.get("response_time_seconds")),
        )
        if raw != said.text:
            yield ResponseProcessed(**at, text=said.text, changed=True, hook="not recorded")
    yield TurnCommitted(
        **at,
        speaker=said.speaker,
        text=said.text,
        words=word_count(said.text),
        metadata=_plain(metadata) or None,
        human=human or None,
        empty=near_empty(said.text) or None,
    )


def _ending(session: Session) -> dict[str, Any]:
    """Why a session ended, as far as its files say."""
    turns, log = session.turns, session.log
    if log.failures:
        text = log.failures[-1] if len(log.failures) == 1 else log.failures[0]
        return {
            "kind": "failed",
            "by": "harness",
            "reason": text.split("\n", 1)[0],
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
        "reason": f"{nothing}the file does not say why it ended",
        "at_turn": len(turns),
        "detail": {"recorded": False},
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _plain(value: Any) -> Any:
    """What a literal holds as JSON data."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)
