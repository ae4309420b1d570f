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
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.foreign import parse_time
from convtui.log.formats.rath_records import SYSTEM, content_of, is_error_body
from convtui.log.formats.rath_rows import PARTIAL, SCHEMA, TRUNCATED, line_of
from convtui.log.formats.registry import Written
from convtui.log.reader import Log
from convtui.log.requests import rebuild
from convtui.records import RecordDict
from convtui.text import safe_name
from convtui.transcript import Flag, Session

PERSONA: Final = "convtui.persona"
PROVIDER: Final = "convtui.provider"
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
_OF_A_CONTINUATION: Final = {"fork": "op_fork", "compress": "op_session_compress"}


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


@dataclass(slots=True)
class _Round:
    """A reply and what its tools gave."""

    raw: str
    calls: list[dict[str, Any]]
    results: list[dict[str, Any]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


class _File:
    """The file of one session, written row by row.

    Rows wait until the system prompt is known, which is when the provider is first asked.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path = path
        self._file = path.open("xb")
        self._count = 0
        self._waiting: list[tuple[str, dict[str, Any]]] | None = []
        self._write({"record_type": "header", "schema_version": SCHEMA, **header})

    def _write(self, row: dict[str, Any]) -> None:
        self._file.write(line_of(row))

    def chunk(self, kind: str, payload: dict[str, Any]) -> None:
        if self._waiting is not None:
            self._waiting.append((kind, payload))
            return
        row = {"record_type": "chunk", "index": self._count, "kind": kind, "payload": payload}
        self._write(row)
        self._count += 1

    def begin(self, system: str | None) -> None:
        """The system prompt is known, or known to be none; does nothing the second time."""
        if self._waiting is None:
            return
        waiting, self._waiting = self._waiting, None
        if system is not None:
            self.chunk("system", {"content": system})
        for kind, payload in waiting:
            self.chunk(kind, payload)

    def close(self, trailer: dict[str, Any] | None) -> None:
        """The session is over; without a trailer where nobody knows how."""
        if self._file.closed:
            return
        self.begin(None)
        if trailer is not None:
            closed_at = {"closed_at": trailer.pop("closed_at")}
            count = {"final_chunk_count": self._count}
            self._write({"record_type": "trailer", **closed_at, **count, **trailer})
        self._file.close()

    def drop(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class _Export:
    """One way through a log, writing as it goes."""

    def __init__(self, log: Log, out: Path) -> None:
        self._log = log
        transcript = log.transcript
        self._header = transcript.header
        told = _object(self._header.get("imported"))
        imported = self._header.get("origin") == "import" and told.get("format") == "rath"
        self._told: dict[str, Any] = told if imported else {}
        """What the file of rath said from which this log was imported."""
        self._held = [s for s in transcript.sessions if not s.skipped]
        if not self._held:
            raise FileError(f"{log.path}: no session was held: there is nothing to export")
        self._created = parse_time(str(self._header.get("created_at"))) or datetime.fromtimestamp(
            0, UTC
        )
        self._paths = {s.index: out / self._name(s) for s in self._held}
        for path in self._paths.values():
            final = path.with_name(path.name.removesuffix(PARTIAL))
            for there in (final, final.with_name(final.name + PARTIAL)):
                if there.exists() or there.is_symlink():
                    raise FileError(
                        f"{there}: is there already, and nothing is overwritten; see --out DIR"
                    )
        self.written: list[Path] = []
        self._file: _File | None = None
        self._session: Session | None = None
        self._rounds: list[_Round] = []
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
        if isinstance(told, str) and len(self._held) == 1:
            return told
        own = self._log.transcript.id
        if len(self._held) == 1 and re.fullmatch(r"[0-9a-fA-F]{32}", own):
            return str(uuid.UUID(own))
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"convtui:{own}:{session.index}"))

    def _name(self, session: Session) -> str:
        name = safe_name(self._id(session), limit=120, default="session")
        return f"{name}.jsonl" + ("" if self._is_closed(session) else PARTIAL)

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
            "parent_session_ids": told.get("parent_session_ids", []),
            "lineage_operator": told.get("lineage_operator"),
            "lineage_kind": told.get("lineage_kind", "unknown"),
            "lineage_extras": [list(pair) for pair in told.get("lineage_extras", [])],
            "sandbox_backend": told.get("sandbox_backend"),
            "sandbox_spec": told.get("sandbox_spec"),
            "sandbox_handle_id": told.get("sandbox_handle_id"),
        }
        if not told:
            self._lineage(head)
        elif isinstance(told.get("lineage_kind_in_file"), str):
            head["lineage_kind"] = told["lineage_kind_in_file"]
        if self._is_truncated(session) and [TRUNCATED, True] not in head["lineage_extras"]:
            head["lineage_extras"].append([TRUNCATED, True])
        return {**head, **_object(told.get("header"))}

    def _lineage(self, head: dict[str, Any]) -> None:
        header = self._header
        origin = str(header.get("origin") or "run")
        change = str(_object(header.get("change")).get("kind") or origin)
        parents = header.get("parents")
        head["parent_session_ids"] = [
            str(parent["id"])
            for parent in (parents if isinstance(parents, list) else [])
            if isinstance(parent, dict) and parent.get("id")
        ]
        head["lineage_operator"] = f"convtui.{origin if change == origin else change}"
        if origin in ("run", "continue", "compress"):
            head["lineage_kind"] = _OF_A_CONTINUATION.get(change, "op_session_loop")
        names = {
            PERSONA: header.get("persona"),
            PROVIDER: _object(header.get("provider")).get("name"),
            "convtui.log": self._log.transcript.id,
        }
        head["lineage_extras"] = [
            [name, value] for name, value in names.items() if isinstance(value, str) and value
        ]

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

    def _open(self, index: Any) -> _File | None:
        """The file of the session with this number; None for one that was never held."""
        if self._session is not None and self._session.index == index:
            return self._file
        self._finish()
        session = next((s for s in self._held if s.index == index), None)
        if session is None or self._paths[session.index] in self.written:
            return None
        self._file = _File(self._paths[session.index], self._head(session))
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
        closed_at = (self._created + timedelta(seconds=self._t)).isoformat()
        trailer: dict[str, Any] = {
            "closed_at": told if isinstance(told, str) else closed_at,
            "cumulative_usage": self._cumulative(),
        }
        extras = [list(pair) for pair in self._told.get("trailer_extras", [])]
        if self._is_truncated(session) and [TRUNCATED, True] not in extras:
            extras.append([TRUNCATED, True])
        if extras:
            trailer["extras"] = extras
        return {**trailer, **_object(self._told.get("trailer"))}

    def _cumulative(self) -> dict[str, Any] | None:
        """What all replies used; None where that is not known of every one of them."""
        if self._told:
            return _object(self._told.get("cumulative_usage")) or None
        if not self._replies:
            return None
        if self._unknown:
            self._count("replies whose usage is not known: cumulative_usage is null", self._unknown)
            return None
        self._count("sessions whose usage is summed up (what each reply used has no place)")
        return {**self._usage, "total_tokens": sum(self._usage.values())}

    # --- sessions

    def _on_seeded(self, record: RecordDict) -> None:
        for turn in record.get("turns", []):
            file = self._open(turn.get("session"))
            if file is None:
                continue
            text = str(turn.get("text", ""))
            if turn.get("speaker") == "provider":
                self._rounds = _rounds_in(turn.get("messages"))
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
        if file is not None:
            file.begin(None)
            file.chunk("system", _object(record.get("data")))

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
        first = _object(messages[0]) if messages else {}
        content = first.get("content")
        return content if first.get("role") == "system" and isinstance(content, str) else None

    def _on_response(self, record: RecordDict) -> None:
        if record.get("side") not in (None, "provider"):
            self._count(f"replies of the {record.get('side')}'s model left out")
            return
        if (record.get("round") or 1) == 1:
            self._rounds = []
        calls = record.get("tool_calls")
        self._rounds.append(
            _Round(
                str(record.get("raw", "")),
                [call for call in (calls if isinstance(calls, list) else []) if _object(call)],
                more=_object(record.get("source")) if self._told else {},
            )
        )
        self._use(record.get("usage"))

    def _use(self, usage: Any) -> None:
        self._replies += 1
        figures = {name: _object(usage).get(name) for name in _USAGE}
        if not all(isinstance(value, int) for value in figures.values()):
            self._unknown += 1
        for name, value in figures.items():
            if isinstance(value, int):
                self._usage[name] = self._usage.get(name, 0) + value

    def _on_called(self, record: RecordDict) -> None:
        if not self._rounds:
            self._rounds.append(_Round("", []))
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
            self._rounds.append(_Round("", []))
        result = record.get("result")
        more = dict(_object(record.get("source"))) if self._told else {}
        content = more.pop("content", None)
        if not record.get("ok", True) and not is_error_body(result):
            kind = str(record.get("error_kind") or "tool_execution_exception")
            message = result if isinstance(result, str) else content_of(result)
            result = {"ok": False, "error_kind": kind, "message": message}
            self._count("errors of tools put into rath's words")
        self._rounds[-1].results.append(
            {
                "tool_call_id": str(record.get("id", "")),
                "name": str(record.get("name", "")),
                "content": content if isinstance(content, str) else content_of(result),
                **more,
            }
        )

    def _on_signals(self, record: RecordDict) -> None:
        if record.get("matches"):
            self._count("turns with signals, which are left out")

    def _on_discarded(self, record: RecordDict) -> None:
        self._rounds = []
        self._count("discarded turns left out")

    def _on_committed(self, record: RecordDict) -> None:
        file = self._open(record.get("session"))
        if file is None:
            self._count("turns after the end of their session left out")
            return
        text = str(record.get("text", ""))
        if record.get("speaker") == "provider":
            file.begin(None)
            self._say(file, text, record)
        else:
            more = _object(record.get("source")) if self._told else {}
            file.chunk("user", {"content": text, **more})
            self._marks(record)

    def _marks(self, record: RecordDict) -> None:
        if record.get("human"):
            self._count("turns said by a human are not marked as that")
        if record.get("edited"):
            self._count("turns edited by hand are not marked as that")
        if record.get("metadata"):
            self._count("turns have metadata, which is left out")

    def _say(self, file: _File, text: str, record: RecordDict) -> None:
        rounds, self._rounds = self._rounds, []
        self._marks(record)
        last = rounds[-1] if rounds else None
        if last is not None and last.raw != text and not record.get("human"):
            self._count("turns whose shown text is not the reply (the shown text is there)")
        if last is None or (last.results and last.raw != text):
            rounds.append(_Round(text, []))
        else:
            last.raw = text
        if rounds[-1].calls and not rounds[-1].results:
            self._count("turns whose last calls were never made (they have no result)")
        self._write_rounds(file, rounds)

    def _write_rounds(self, file: _File, rounds: list[_Round]) -> None:
        for one in rounds:
            payload = {"content": one.raw or None, "tool_calls": one.calls or None, **one.more}
            file.chunk("assistant", payload)
            for result in one.results:
                file.chunk("tool_result", result)

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


def _rounds_in(messages: Any) -> list[_Round]:
    """The rounds of a turn whose messages are known by value."""
    found: list[_Round] = []
    for message in messages if isinstance(messages, list) else []:
        given = _object(message)
        content = given.get("content")
        if given.get("role") == "assistant":
            calls = given.get("tool_calls")
            found.append(
                _Round(
                    content if isinstance(content, str) else "",
                    [call for call in (calls if isinstance(calls, list) else []) if _object(call)],
                )
            )
        elif given.get("role") == "tool" and found:
            id_ = str(given.get("tool_call_id", ""))
            names = {c.get("id"): _object(c.get("function")).get("name") for c in found[-1].calls}
            text = content if isinstance(content, str) else content_of(content)
            found[-1].results.append(
                {"tool_call_id": id_, "name": str(names.get(id_) or "unknown"), "content": text}
            )
    return found


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


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
    "turn.committed": _Export._on_committed,
}
