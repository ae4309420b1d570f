"""Writes a log as VERA-MH writes a run: for each session a transcript, and a log that is whole.

Every session's log has its header, its turns and its end, is written in one go and never opened
again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.detail import TurnDetail
from convtui.log.formats.export_fold import ExportFold, not_written, refuse_existing
from convtui.log.formats.left_out import ENDINGS, RAW, SESSION_ENDINGS, USAGE
from convtui.log.formats.registry import Written
from convtui.log.formats.vera.imported import ImportedRun
from convtui.log.formats.vera.layout import Layout, end_after
from convtui.log.formats.vera.transcripts import writable
from convtui.log.reader import Log
from convtui.records.codec import Speaker
from convtui.records.times import later
from convtui.records.values import as_object
from convtui.text.boundary import safe_name
from convtui.transcript.fold import COMMITTED, Flag, Session, Turn

_START_PROMPT: Final = "Start the conversation based on the system prompt"
_LOOKS_LOGGED: Final = re.compile(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.MULTILINE)


def write(log: Log, out: Path) -> Written:
    """Writes a run folder with this conversation below `out`.

    Raises `FileError` when one of its files is there already (nothing is written then) or cannot
    be written.
    """
    run = _Run(log)
    home = out / run.folder / run.home
    texts: dict[Path, str] = {}
    for session in log.transcript.sessions:
        if session.skipped:
            continue
        name = run.imported_file(session)
        if name is None or home / name in texts:
            name = f"{run.file(session)}.txt"
        texts[home / name] = run.transcript(session, name)
        texts[home / "logs" / f"{Path(name).stem}.log"] = run.log_of(session)
    if not texts:
        raise FileError(f"{log.path}: no session was held: there is nothing to export")
    _write(texts)
    return Written(tuple(texts), tuple(run.notes()))


def _write(texts: dict[Path, str]) -> None:
    refuse_existing(texts)
    written: list[Path] = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise not_written(path, error) from error


class _LogText:
    """The lines of a `.log` file; `seconds` is when the next one was logged, after `created`."""

    def __init__(self, created: datetime, seconds: float) -> None:
        self.lines: list[str] = []
        self.seconds = seconds
        self._created = created

    def write(self, text: str, level: str = "INFO") -> None:
        at = later(self._created, self.seconds).strftime("%Y-%m-%d %H:%M:%S")
        self.lines.append(f"{at} - {level} - {_LOOKS_LOGGED.sub(' ', text)}\n")


PLACED: Final = frozenset({"history.seeded", USAGE, RAW, ENDINGS, SESSION_ENDINGS})


class _Run:
    """One conversation in VERA-MH's words."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._fold = ExportFold(log, "vera", PLACED)
        self._differing: list[str] = []
        self._details = as_object(self._fold.header.get("imported"))
        """What the file said that the log was imported from, of whichever format."""
        self._imported = ImportedRun(self._details if self._details.get("format") == "vera" else {})
        self._scenario = as_object(self._fold.header.get("scenario"))
        self._persona = as_object(self._scenario.get("persona"))
        self._provider = self._fold.provider
        self._created = self._fold.created.astimezone()

    # --- names

    @property
    def _user(self) -> str:
        model = self._details.get("persona_model") or self._persona.get("model")
        return str(model or self._persona.get("simulator") or "user")

    @property
    def _chatbot(self) -> str:
        return str(self._provider.get("model") or self._provider.get("name") or "provider")

    @property
    def folder(self) -> str:
        """The run folder's name."""
        kept = self._imported.folder
        if kept is not None:
            return kept
        sessions = self._log.transcript.sessions
        turns = max((s.max_turns or len(s.turns) for s in sessions), default=0)
        sides = [safe_name(name).replace("-", "_") for name in (self._user, self._chatbot)]
        at = self._created.strftime("%Y%m%d_%H%M%S")
        return f"p_{sides[0]}__a_{sides[1]}__t{turns}__r{self._run}__{at}"

    @property
    def home(self) -> str:
        """Where in the run folder transcripts lie."""
        return self._imported.home if self._imported.folder is not None else "conversations"

    @property
    def _run(self) -> int:
        run = self._details.get("run")
        return run if type(run) is int and run > 0 else 1

    def imported_file(self, session: Session) -> str | None:
        """The name of the transcript that a session was imported from."""
        return self._imported.file(session.index)

    def file(self, session: Session) -> str:
        """The name of a session's files, without an ending."""
        tag = str(self._details.get("tag") or re.sub(r"[^0-9a-f]", "", self._log.transcript.id)[:6])
        options = as_object(as_object(self._scenario.get("provider")).get("options"))
        workflow = self._details.get("workflow") or options.get("workflow")
        parts = [
            f"{tag:0<6}",
            safe_name(str(self._fold.header.get("persona", "")), default="persona"),
            safe_name(self._user, default="model"),
        ]
        if isinstance(workflow, str):
            parts.append(safe_name(workflow, default="workflow"))
        parts.append(f"run{self._run}")
        if len(self._log.transcript.sessions) > 1 or session.session_type not in ("default", ""):
            parts += [f"s{session.index}", safe_name(session.session_type, default="session")]
        return "_".join(parts)

    # --- texts

    def _turns(self, session: Session) -> Iterator[tuple[Turn, Speaker, str]]:
        for index in session.turns:
            turn = self._log.transcript.turns[index]
            if turn.status == COMMITTED:
                speaker: Speaker = "provider" if turn.speaker == "provider" else "persona"
                yield turn, speaker, writable(turn.text)

    def _ended_by(self, session: Session) -> Speaker | None:
        termination = session.termination or {}
        if termination.get("kind") != "early_termination":
            return None
        return {"persona": "persona", "provider": "provider"}.get(termination.get("by"))  # type: ignore[return-value, arg-type]

    def transcript(self, session: Session, name: str) -> str:
        """A session's transcript, in the layout of the one that it was imported from."""
        texts = [(speaker, turn.text) for turn, speaker, _ in self._turns(session)]
        imported = self._imported.layout(session.index)
        layout = Layout() if imported is None else imported
        if imported is None or imported.turns != len(texts):
            layout = layout.without_places()
            layout.ends = end_after(len(texts), self._ended_by(session))
        text = layout.render(texts)
        problem = self._imported.problem(session.index, text)
        if problem:
            self._differing.append(f"{name}: {problem}")
        else:
            self._fold.count(
                "turns were changed that would have been taken for other turns, or that held what"
                " is no text",
                layout.changed(texts),
            )
        return text

    def log_of(self, session: Session) -> str:
        """A session's log: header, turns, end."""
        log = _LogText(self._created, session.started_at or 0.0)
        self._write_settings(log, session)
        ended_by = self._ended_by(session)
        turns = list(self._turns(session))
        before: str | None = None
        for number, (turn, speaker, text) in enumerate(turns, 1):
            detail = self._detail(turn)
            log.seconds = float((detail.records or [{}])[-1].get("t") or log.seconds)
            log.write(f"TURN {number} - {speaker.upper()}")
            log.write(f"Input: {_START_PROMPT if before is None else before}")
            log.write(f"Response: {text}")
            logging = _logging(detail, speaker)
            if turn.flags & Flag.HUMAN:
                logging["human"] = True
            log.write(f"response_id: {logging.get('response_id')}")
            log.write(f"logging: {logging!r}")
            if number == len(turns) and ended_by is not None:
                log.write(f"EARLY TERMINATION detected by {ended_by.upper()}", "WARNING")
            log.write("-" * 40)
            before = text
        self._write_end(log, session, len(turns), early=ended_by is not None)
        return "".join(log.lines).encode("utf-8", "replace").decode()

    def _write_settings(self, log: _LogText, session: Session) -> None:
        log.write("=" * 60)
        log.write("CONVERSATION STARTED")
        log.write("=" * 60)
        log.write("LLM1 Configuration:")
        log.write(f"  - Model: {self._user}")
        log.write(f"  - Prompt: {self._fold.header.get('persona', '')}")
        log.write("LLM2 Configuration:")
        log.write(f"  - Name: {self._provider.get('name', '')}")
        log.write(f"  - Model: {self._chatbot}")
        log.write("Conversation Settings:")
        if session.max_turns is not None:
            log.write(f"  - Max Turns: {session.max_turns}")
        log.write(f"  - Persona speaks first: {session.first_speaker != 'provider'}")
        log.write("=" * 60)

    @staticmethod
    def _write_end(log: _LogText, session: Session, turns: int, *, early: bool) -> None:
        log.seconds = session.ended_at or log.seconds
        termination = session.termination or {}
        if termination.get("kind") == "failed":
            reason = str(termination.get("reason", "")).split("\n", 1)[0]
            log.write(f"CONVERSATION FAILED | error={reason}", "ERROR")
        log.write("=" * 60)
        log.write("CONVERSATION COMPLETED")
        log.write("=" * 60)
        log.write(f"Total Turns: {turns}")
        log.write(f"Early Termination: {early}")
        if session.started_at is not None and session.ended_at is not None:
            log.write(f"Duration: {session.ended_at - session.started_at:.2f} seconds")
        log.write("=" * 60)

    def _detail(self, turn: Turn) -> TurnDetail:
        from convtui.log.transcript_json import turn_detail

        return turn_detail(self._log, turn)

    def notes(self) -> Iterator[str]:
        """What the format has no place for, and what is not as it was imported."""
        yield from self._imported.renamed()
        yield from self._imported.logs_anew()
        yield from self._differing
        turns = self._log.transcript.turns
        self._fold.count(
            "turns were said by a human: marked 'human': True in the logging of the .log files, for"
            " which transcripts have no place",
            sum(turn.status == COMMITTED and bool(turn.flags & Flag.HUMAN) for turn in turns),
        )
        self._fold.count(
            "texts were written beside tool calls and not said: they are in the logging of the .log"
            " files, not in the transcripts",
            sum(len(turn.interim) for turn in turns),
        )
        self._fold.run({})
        yield from self._fold.notes()
        for session in self._log.transcript.sessions:
            if session.skipped:
                yield f"session {session.index} was skipped: {session.skipped}"


def _logging(detail: TurnDetail, speaker: Speaker) -> dict[str, Any]:
    response = detail.response or {}
    logging = dict(detail.metadata)
    for name in ("response_id", "model", "usage"):
        if response.get(name) is not None:
            logging[name] = response[name]
    if response.get("duration") is not None:
        logging["response_time_seconds"] = response["duration"]
    logging.setdefault("response_id", None)
    if speaker == "provider" and detail.raw is not None:
        logging["raw_response"] = detail.raw
    if detail.interim:
        logging["interim"] = [part._asdict() for part in detail.interim]
    return logging
