"""Writes a log as rath's session files: one for each session that was held.

Rows are what was said: the shown text of every committed turn, with the tool rounds of the replies
that led to it. The system prompt, which rath itself never stores, is the first row. A session
without an end is a `.__partial__` file without a trailer. That the last reply was cut off because
all tool rounds were used up stands in the header's extras, where rath has it in memory and too late
for its file, and in the trailer's, which is an addition.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.rath.files import (
    Round,
    SessionFile,
    as_list,
    as_object,
    lineage,
    rounds_in,
    session_id,
)
from convtui.log.formats.rath.records import SYSTEM, content_of, is_error_body
from convtui.log.formats.rath.rows import PARTIAL, TRUNCATED
from convtui.log.formats.registry import Written
from convtui.log.reader import Log
from convtui.log.requests import rebuild
from convtui.records.codec import RecordDict
from convtui.records.interim import last_round
from convtui.records.times import EPOCH, later, parse_time
from convtui.transcript.fold import Flag, Session

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""What rath accepts as the id of a session."""
_USAGE: Final = ("prompt_tokens", "completion_tokens")
_LEFT_OUT: Final = {
    "turn.skipped": "skipped turns",
    "turn.cancelled": "cancelled calls",
    "llm.failed": "failed calls",
    "llm.retry": "retries",
    "user.decided": "decisions of the simulated user",
    "user.ended": "endings by the simulated user",
    "provider.output": "captured outputs",
    "warning": "warnings",
    "debug.held": "holds",
    "debug.injected": "injected faults",
    "debug.overrode": "overridden endings and discards",
}


def write(log: Log, out: Path) -> Written:
    """Writes a file for each session below `out`, named after the session's id.

    Raises `FileError` when one of them is there already (nothing is written then) or cannot be
    written.
    """
    exporter = _Export(log, out)
    try:
        exporter.run()
    except BaseException:
        exporter.undo()
        raise
    return Written(tuple(exporter.written), tuple(exporter.notes()))


class _Export:
    """One way through a log, writing as it goes."""

    def __init__(self, log: Log, out: Path) -> None:
        self._log = log
        transcript = log.transcript
        self._header = transcript.header
        told = as_object(self._header.get("imported"))
        imported = self._header.get("origin") == "import" and told.get("format") == "rath"
        self._told: dict[str, Any] = told if imported else {}
        """What the file of rath said from which this log was imported."""
        self._held = [s for s in transcript.sessions if not s.skipped]
        if not self._held:
            raise FileError(f"{log.path}: no session was held: there is nothing to export")
        self._created = parse_time(self._header["created_at"]) or EPOCH
        self._paths = {s.index: out / self._name(s) for s in self._held}
        for path in self._paths.values():
            final = path.with_name(path.name.removesuffix(PARTIAL))
            for there in (final, final.with_name(final.name + PARTIAL)):
                if there.exists() or there.is_symlink():
                    raise FileError(
                        f"{there}: is there already, and nothing is overwritten; see --out DIR"
                    )
        self.written: list[Path] = []
        self._file: SessionFile | None = None
        self._session: Session | None = None
        self._rounds: list[Round] = []
        self._prompt: str | None = None
        self._asked: int | None = None
        """The `seq` of the last request, of which `_prompt` is the system prompt."""
        self._usage: dict[str, int] = {}
        self._replies = self._unknown = 0
        """Replies of the session, and those whose usage is not known."""
        self._t = 0.0
        self._counts: dict[str, int] = {}

    # --- names and headers

    def _id(self, session: Session) -> str:
        told = self._told.get("session_id")
        if isinstance(told, str) and len(self._held) == 1 and _UUID.fullmatch(told):
            return told
        return session_id(self._log.transcript.id, session.index)

    def _name(self, session: Session) -> str:
        return f"{self._id(session)}.jsonl" + ("" if self._is_closed(session) else PARTIAL)

    def _is_closed(self, session: Session) -> bool:
        if self._told:
            return self._told.get("closed") is not False
        return session.termination is not None or session.ended_at is not None

    def _is_truncated(self, session: Session) -> bool:
        """Whether the last reply was cut off."""
        turns = self._log.transcript.turns
        last = turns[session.turns[-1]] if session.turns else None
        return last is not None and bool(last.flags & Flag.TRUNCATED)

    def _head(self, session: Session) -> dict[str, Any]:
        told = self._told
        head: dict[str, Any] = {
            "id": self._id(session),
            "created_at": self._created.isoformat(),
            "parent_session_ids": as_list(told.get("parent_session_ids")),
            "lineage_operator": told.get("lineage_operator"),
            "lineage_kind": told.get("lineage_kind", "unknown"),
            "lineage_extras": as_list(told.get("lineage_extras")),
            "sandbox_backend": told.get("sandbox_backend"),
            "sandbox_spec": told.get("sandbox_spec"),
            "sandbox_handle_id": told.get("sandbox_handle_id"),
        }
        if not told:
            head |= lineage(self._header, session.index)
            begun = self._log.transcript.seed.get("current")
            if isinstance(begun, int) and session.index > begun:
                # The parent never came to this session.
                head["parent_session_ids"] = []
        elif isinstance(told.get("lineage_kind_in_file"), str):
            head["lineage_kind"] = told["lineage_kind_in_file"]
        if self._is_truncated(session) and [TRUNCATED, True] not in head["lineage_extras"]:
            head["lineage_extras"].append([TRUNCATED, True])
        if head["lineage_operator"] is None:
            del head["lineage_operator"]
        return {**head, **as_object(told.get("header"))}

    # --- the way through

    def run(self) -> None:
        """Writes everything."""
        path = next(iter(self._paths.values()))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for record in self._log.records():
                t = record.get("t")
                if isinstance(t, (int, float)) and 0 <= t < 1e9:
                    self._t = max(self._t, t)
                kind = str(record.get("type"))
                handler = _HANDLERS.get(kind)
                if handler is not None:
                    handler(self, record)
                elif kind in _LEFT_OUT:
                    self._count(_LEFT_OUT[kind] + " left out")
            self._finish()
        except OSError as error:
            raise FileError(f"{path}: cannot be written: {error.strerror}") from error

    def undo(self) -> None:
        """Takes back what was written."""
        if self._file is not None:
            self._file.drop()
        for path in self.written:
            path.unlink(missing_ok=True)

    def _count(self, what: str, times: int = 1) -> None:
        self._counts[what] = self._counts.get(what, 0) + times

    def _open(self, index: Any) -> SessionFile | None:
        """The file of the session with this number; None for one that was never held."""
        if self._session is not None and self._session.index == index:
            return self._file
        self._finish()
        session = next((s for s in self._held if s.index == index), None)
        if session is None or self._paths[session.index] in self.written:
            return None
        self._file = SessionFile(self._paths[session.index], self._head(session))
        self.written.append(self._file.path)
        self._session = session
        self._usage, self._replies, self._unknown = {}, 0, 0
        self._asked = self._prompt = None
        return self._file

    def _finish(self) -> None:
        """The session that is open is over."""
        file, session = self._file, self._session
        self._file = self._session = None
        rounds, self._rounds = self._rounds, []
        if file is None or session is None:
            return
        closed = self._is_closed(session)
        if rounds and closed:
            self._count("turns that were never finished left out")
        elif rounds:
            self._write_rounds(file, rounds)
        file.close(self._trailer(session) if closed else None)

    def _trailer(self, session: Session) -> dict[str, Any]:
        told = self._told.get("closed_at")
        trailer: dict[str, Any] = {
            "closed_at": told if isinstance(told, str) else self._now(),
            "cumulative_usage": self._cumulative(),
        }
        extras = as_list(self._told.get("trailer_extras"))
        if self._is_truncated(session) and [TRUNCATED, True] not in extras:
            extras.append([TRUNCATED, True])
        if extras:
            trailer["extras"] = extras
        return {**trailer, **as_object(self._told.get("trailer"))}

    def _now(self) -> str:
        return later(self._created, self._t).isoformat()

    def _cumulative(self) -> dict[str, Any] | None:
        """What all replies used; None where that is not known of every one of them."""
        if self._told:
            return as_object(self._told.get("cumulative_usage")) or None
        if not self._replies:
            return None
        if self._unknown:
            self._count("replies whose usage is not known: cumulative_usage is null", self._unknown)
            return None
        self._count("sessions whose usage is summed up (what each reply used has no place)")
        return {**self._usage, "total_tokens": sum(self._usage.values())}

    # --- sessions

    def _on_seeded(self, record: RecordDict) -> None:
        for turn in map(as_object, as_list(record.get("turns"))):
            file = self._open(turn.get("session"))
            if file is None:
                continue
            text = last_round(turn)
            if turn.get("speaker") == "provider":
                self._rounds = rounds_in(turn.get("messages"))
                self._say(file, text, turn)
            else:
                file.chunk("user", {"content": text})
                self._marks(turn)
            self._count("turns said before this log began (the usage of their replies is not here)")

    def _on_session_started(self, record: RecordDict) -> None:
        self._open(record.get("session"))

    def _on_session_ended(self, record: RecordDict) -> None:
        if self._session is not None and record.get("session") == self._session.index:
            self._finish()
        self._ending(record)

    def _ending(self, record: RecordDict) -> None:
        if record.get("skipped") is None and not self._told:
            self._count("endings (how a session ended has no place)")

    def _on_system(self, record: RecordDict) -> None:
        """A system row of the file that was imported."""
        file = self._open(record.get("session"))
        if file is None:
            return
        file.begin(None)
        if self._rounds:
            self._rounds[-1].after.append((SYSTEM, as_object(record.get("data"))))
        else:
            file.chunk(SYSTEM, as_object(record.get("data")))

    # --- turns

    def _on_turn_started(self, record: RecordDict) -> None:
        self._rounds = []

    def _on_request(self, record: RecordDict) -> None:
        file = self._open(record.get("session"))
        if record.get("side") not in (None, "provider") or file is None:
            return
        base, first = record.get("base"), self._asked is None
        if first or base is None or base != self._asked:
            prompt = self._system_prompt(record)
            if not first and prompt != self._prompt:
                self._count("changes of the system prompt left out (the first one is there)")
            self._prompt = prompt
            file.begin(prompt)
        self._asked = record.get("seq")

    def _system_prompt(self, record: RecordDict) -> str | None:
        try:
            messages = rebuild(record, self._log.reader.by_seq)
        except ValueError:
            self._count("requests that the log no longer has in full")
            return self._prompt
        first = as_object(messages[0]) if messages else {}
        content = first.get("content")
        return content if first.get("role") == "system" and isinstance(content, str) else None

    def _on_response(self, record: RecordDict) -> None:
        if record.get("side") not in (None, "provider"):
            self._count(f"replies of the {record.get('side')}'s model left out")
            return
        if (record.get("round") or 1) == 1:
            self._rounds = []
        self._rounds.append(
            Round(
                str(record.get("raw", "")),
                [call for call in as_list(record.get("tool_calls")) if as_object(call)],
                more=as_object(record.get("source")) if self._told else {},
            )
        )
        self._use(record.get("usage"))

    def _use(self, usage: Any) -> None:
        self._replies += 1
        figures = {name: as_object(usage).get(name) for name in _USAGE}
        if not all(isinstance(value, int) for value in figures.values()):
            self._unknown += 1
        for name, value in figures.items():
            if isinstance(value, int):
                self._usage[name] = self._usage.get(name, 0) + value

    def _on_called(self, record: RecordDict) -> None:
        if not self._rounds:
            self._rounds.append(Round("", []))
        calls = self._rounds[-1].calls
        call_id = str(record.get("id", ""))
        if any(str(call.get("id") or "") == call_id for call in calls):
            return
        arguments = record.get("raw_arguments")
        if not arguments:
            arguments = json.dumps(record.get("arguments") or {}, ensure_ascii=False)
        function = {"name": str(record.get("name", "")), "arguments": str(arguments)}
        calls.append({"id": call_id, "type": "function", "function": function})

    def _on_returned(self, record: RecordDict) -> None:
        if not self._rounds:
            self._rounds.append(Round("", []))
        result = record.get("result")
        more = dict(as_object(record.get("source"))) if self._told else {}
        content = more.pop("content", None)
        if not record.get("ok", True) and not is_error_body(result):
            kind = str(record.get("error_kind") or "tool_execution_exception")
            message = result if isinstance(result, str) else content_of(result)
            result = {"ok": False, "error_kind": kind, "message": message}
            self._count("errors of tools put into rath's words")
        payload = {
            "tool_call_id": str(record.get("id", "")),
            "name": str(record.get("name", "")),
            "content": content if isinstance(content, str) else content_of(result),
            **more,
        }
        self._rounds[-1].after.append(("tool_result", payload))

    def _on_signals(self, record: RecordDict) -> None:
        if record.get("matches"):
            self._count("turns with signals, which are left out")

    def _on_discarded(self, record: RecordDict) -> None:
        self._rounds = []
        self._count("discarded turns left out")

    def _on_inactive(self, record: RecordDict) -> None:
        self._rounds = []
        self._count("inactive turns left out")

    def _on_committed(self, record: RecordDict) -> None:
        file = self._open(record.get("session"))
        if file is None:
            self._count("turns after the end of their session left out")
            return
        text = last_round(record)
        if record.get("speaker") == "provider":
            file.begin(None)
            self._say(file, text, record)
        else:
            more = as_object(record.get("source")) if self._told else {}
            file.chunk("user", {"content": text, **more})
            self._marks(record)

    def _marks(self, record: RecordDict) -> None:
        if record.get("human"):
            self._count("turns said by a human are not marked as that")
        if record.get("edited"):
            self._count("turns edited by hand are not marked as that")
        if record.get("metadata"):
            self._count("turns have metadata, which is left out")

    def _say(self, file: SessionFile, text: str, record: RecordDict) -> None:
        rounds, self._rounds = self._rounds, []
        self._marks(record)
        last = rounds[-1] if rounds else None
        if last is not None and last.raw != text and not record.get("human"):
            self._count("turns whose shown text is not the reply (the shown text is there)")
        if last is None or (last.after and last.raw != text):
            rounds.append(Round(text, []))
        else:
            last.raw = text
        if rounds[-1].calls and not rounds[-1].after:
            self._count("turns whose last calls were never made (they have no result)")
        self._write_rounds(file, rounds)

    def _write_rounds(self, file: SessionFile, rounds: list[Round]) -> None:
        for one in rounds:
            payload = {"content": one.raw or None, "tool_calls": one.calls or None, **one.more}
            file.chunk("assistant", payload)
            for kind, after in one.after:
                file.chunk(kind, after)

    # --- afterwards

    def notes(self) -> Iterator[str]:
        """What the format has no place for, and where it went."""
        if len(self._held) > 1:
            yield f"{len(self._held)} sessions are {len(self._held)} files"
        skipped = len(self._log.transcript.sessions) - len(self._held)
        if skipped:
            yield f"{skipped} skipped sessions left out"
        if any(path.name.endswith(PARTIAL) for path in self.written):
            yield f"a session without an end is a {PARTIAL} file without a trailer"
        for what, count in self._counts.items():
            yield f"{count} {what}"


_HANDLERS: Final = {
    "history.seeded": _Export._on_seeded,
    "session.started": _Export._on_session_started,
    "session.ended": _Export._on_session_ended,
    f"rath.{SYSTEM}": _Export._on_system,
    "turn.started": _Export._on_turn_started,
    "llm.request": _Export._on_request,
    "llm.response": _Export._on_response,
    "tool.called": _Export._on_called,
    "tool.returned": _Export._on_returned,
    "signals.extracted": _Export._on_signals,
    "turn.discarded": _Export._on_discarded,
    "turn.inactive": _Export._on_inactive,
    "turn.committed": _Export._on_committed,
}
