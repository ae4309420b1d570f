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
from convtui.log.formats.export_fold import (
    ExportFold,
    Round,
    add_usage,
    is_provider,
    not_written,
    refuse_existing,
    seeded_turns,
    system_prompt,
)
from convtui.log.formats.left_out import USAGE
from convtui.log.formats.rath.files import RoundRows, SessionFile, lineage, rounds_in, session_id
from convtui.log.formats.rath.records import SYSTEM, content_of, is_error_body
from convtui.log.formats.rath.rows import PARTIAL, TRUNCATED
from convtui.log.formats.registry import Written
from convtui.log.reader import Log
from convtui.records.codec import RecordDict
from convtui.records.interim import last_round
from convtui.records.values import as_list, as_object
from convtui.transcript.fold import Flag, Session

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""What rath accepts as the id of a session."""
_USAGE: Final = ("prompt_tokens", "completion_tokens")
PLACED: Final = frozenset({"tool.called", "history.seeded", USAGE})


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
        self._fold = ExportFold(log, "rath", PLACED)
        self._imported = self._fold.imported
        self._held = [s for s in log.transcript.sessions if not s.skipped]
        if not self._held:
            raise FileError(f"{log.path}: no session was held: there is nothing to export")
        self._paths = {s.index: out / self._name(s) for s in self._held}
        for path in self._paths.values():
            final = path.with_name(path.name.removesuffix(PARTIAL))
            refuse_existing((final, final.with_name(final.name + PARTIAL)))
        self.written: list[Path] = []
        self._file: SessionFile | None = None
        self._session: Session | None = None
        self._prompt: str | None = None
        self._asked: int | None = None
        """The `seq` of the last request, of which `_prompt` is the system prompt."""
        self._usage: dict[str, int] = {}
        self._replies = self._unknown = 0
        """Replies of the session, and those whose usage is not known."""

    # --- names and headers

    def _id(self, session: Session) -> str:
        id_ = self._imported.get("session_id")
        if isinstance(id_, str) and len(self._held) == 1 and _UUID.fullmatch(id_):
            return id_
        return session_id(self._log.transcript.id, session.index)

    def _name(self, session: Session) -> str:
        return f"{self._id(session)}.jsonl" + ("" if self._is_closed(session) else PARTIAL)

    def _is_closed(self, session: Session) -> bool:
        if self._imported:
            return self._imported.get("closed") is not False
        return session.termination is not None or session.ended_at is not None

    def _is_truncated(self, session: Session) -> bool:
        """Whether the last reply was cut off."""
        turns = self._log.transcript.turns
        last = turns[session.turns[-1]] if session.turns else None
        return last is not None and bool(last.flags & Flag.TRUNCATED)

    def _head(self, session: Session) -> dict[str, Any]:
        imported = self._imported
        head: dict[str, Any] = {
            "id": self._id(session),
            "created_at": self._fold.created.isoformat(),
            "parent_session_ids": as_list(imported.get("parent_session_ids")),
            "lineage_operator": imported.get("lineage_operator"),
            "lineage_kind": imported.get("lineage_kind", "unknown"),
            "lineage_extras": as_list(imported.get("lineage_extras")),
            "sandbox_backend": imported.get("sandbox_backend"),
            "sandbox_spec": imported.get("sandbox_spec"),
            "sandbox_handle_id": imported.get("sandbox_handle_id"),
        }
        if not imported:
            head |= lineage(self._fold.header, session.index)
            begun = self._log.transcript.seed.get("current")
            if isinstance(begun, int) and session.index > begun:
                # The parent never came to this session.
                head["parent_session_ids"] = []
        elif isinstance(imported.get("lineage_kind_in_file"), str):
            head["lineage_kind"] = imported["lineage_kind_in_file"]
        if self._is_truncated(session) and [TRUNCATED, True] not in head["lineage_extras"]:
            head["lineage_extras"].append([TRUNCATED, True])
        if head["lineage_operator"] is None:
            del head["lineage_operator"]
        return {**head, **as_object(imported.get("header"))}

    # --- the way through

    def run(self) -> None:
        """Writes everything."""
        path = next(iter(self._paths.values()))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fold.run(
                {
                    "history.seeded": self._on_seeded,
                    "session.started": self._on_session_started,
                    "session.ended": self._on_session_ended,
                    f"rath.{SYSTEM}": self._on_system,
                    "llm.request": self._on_request,
                    "llm.response": self._on_response,
                    "tool.returned": self._on_returned,
                    "turn.committed": self._on_committed,
                }
            )
            self._finish()
        except OSError as error:
            raise not_written(path, error) from error

    def undo(self) -> None:
        """Takes back what was written."""
        if self._file is not None:
            self._file.drop()
        for path in self.written:
            path.unlink(missing_ok=True)

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
        rounds = self._fold.take_rounds()
        if file is None or session is None:
            return
        closed = self._is_closed(session)
        if rounds and closed:
            self._fold.count("turns that were never finished left out")
        elif rounds:
            self._write_rounds(file, [self._rows_of(round) for round in rounds])
        file.close(self._trailer(session) if closed else None)

    def _trailer(self, session: Session) -> dict[str, Any]:
        closed_at = self._imported.get("closed_at")
        trailer: dict[str, Any] = {
            "closed_at": closed_at if isinstance(closed_at, str) else self._fold.now.isoformat(),
            "cumulative_usage": self._cumulative(),
        }
        extras = as_list(self._imported.get("trailer_extras"))
        if self._is_truncated(session) and [TRUNCATED, True] not in extras:
            extras.append([TRUNCATED, True])
        if extras:
            trailer["extras"] = extras
        return {**trailer, **as_object(self._imported.get("trailer"))}

    def _cumulative(self) -> dict[str, Any] | None:
        """What all replies used; None where that is not known of every one of them."""
        if self._imported:
            return as_object(self._imported.get("cumulative_usage")) or None
        if not self._replies:
            return None
        if self._unknown:
            self._fold.count(
                "replies whose usage is not known: cumulative_usage is null", self._unknown
            )
            return None
        self._fold.count("sessions whose usage is summed up (what each reply used has no place)")
        return {**self._usage, "total_tokens": sum(self._usage.values())}

    # --- sessions

    def _on_seeded(self, record: RecordDict) -> None:
        for turn in seeded_turns(record):
            file = self._open(turn.get("session"))
            if file is None:
                continue
            if turn.get("speaker") == "provider":
                self._write_reply(file, rounds_in(turn.get("messages")), turn)
            else:
                file.chunk("user", {"content": last_round(turn)})
                self._count_marks(turn)
            self._fold.count(
                "turns said before this log began (the usage of their replies is not here)"
            )

    def _on_session_started(self, record: RecordDict) -> None:
        self._open(record.get("session"))

    def _on_session_ended(self, record: RecordDict) -> None:
        if self._session is not None and record.get("session") == self._session.index:
            self._finish()
        if record.get("skipped") is None and not self._imported:
            self._fold.count("endings (how a session ended has no place)")

    def _on_system(self, record: RecordDict) -> None:
        """A system row of the file that was imported."""
        file = self._open(record.get("session"))
        if file is None:
            return
        file.begin(None)
        if self._fold.rounds:
            self._fold.rounds[-1].after.append(record)
        else:
            file.chunk(SYSTEM, as_object(record.get("data")))

    # --- the model and its tools

    def _on_request(self, record: RecordDict) -> None:
        file = self._open(record.get("session"))
        if not is_provider(record) or file is None:
            return
        base, first = record.get("base"), self._asked is None
        if first or base is None or base != self._asked:
            prompt = self._prompt_of(record)
            if not first and prompt != self._prompt:
                self._fold.count("changes of the system prompt left out (the first one is there)")
            self._prompt = prompt
            file.begin(prompt)
        self._asked = record.get("seq")

    def _prompt_of(self, request: RecordDict) -> str | None:
        messages = self._fold.messages(request)
        if messages is None:
            self._fold.count("requests that the log no longer has in full")
            return self._prompt
        return system_prompt(messages)

    def _on_response(self, record: RecordDict) -> None:
        if not is_provider(record):
            self._fold.count(f"replies of the {record.get('side')}'s model left out")
            return
        self._replies += 1
        figures = {name: as_object(record.get("usage")).get(name) for name in _USAGE}
        known = {name: value for name, value in figures.items() if isinstance(value, int)}
        self._unknown += len(known) < len(figures)
        add_usage(self._usage, known)

    def _on_returned(self, record: RecordDict) -> None:
        if _is_reworded(record):
            self._fold.count("errors of tools put into rath's words")

    # --- turns

    def _on_committed(self, record: RecordDict) -> None:
        file = self._open(record.get("session"))
        if file is None:
            self._fold.count("turns after the end of their session left out")
        elif record.get("speaker") == "provider":
            file.begin(None)
            rounds = [self._rows_of(round) for round in self._fold.take_rounds()]
            self._write_reply(file, rounds, record)
        else:
            file.chunk("user", {"content": last_round(record), **self._fold.source(record)})
            self._count_marks(record)

    def _count_marks(self, record: RecordDict) -> None:
        if record.get("human"):
            self._fold.count("turns said by a human, not marked as that")
        if record.get("edited"):
            self._fold.count("turns edited by hand, not marked as that")
        if record.get("metadata"):
            self._fold.count("turns have metadata, which is left out")

    def _rows_of(self, round: Round) -> RoundRows:
        reply = round.reply or {}
        rows = RoundRows(str(reply.get("raw", "")), [], more=self._fold.source(reply))
        rows.calls += [call for call in as_list(reply.get("tool_calls")) if as_object(call)]
        for record in round.after:
            if record.get("type") == "tool.called":
                _add_call(rows.calls, record)
            elif record.get("type") == "tool.returned":
                rows.after.append(("tool_result", self._result_of(record)))
            else:
                rows.after.append((SYSTEM, as_object(record.get("data"))))
        return rows

    def _result_of(self, record: RecordDict) -> dict[str, Any]:
        result = record.get("result")
        more = dict(self._fold.source(record))
        content = more.pop("content", None)
        if _is_reworded(record):
            kind = str(record.get("error_kind") or "tool_execution_exception")
            message = result if isinstance(result, str) else content_of(result)
            result = {"ok": False, "error_kind": kind, "message": message}
        return {
            "tool_call_id": str(record.get("id", "")),
            "name": str(record.get("name", "")),
            "content": content if isinstance(content, str) else content_of(result),
            **more,
        }

    def _write_reply(self, file: SessionFile, rounds: list[RoundRows], turn: RecordDict) -> None:
        """Writes a turn of the provider: its last round says what was said."""
        text = last_round(turn)
        self._count_marks(turn)
        last = rounds[-1] if rounds else None
        if last is not None and last.text != text and not turn.get("human"):
            self._fold.count("turns whose shown text is not the reply (the shown text is there)")
        if last is None or (last.after and last.text != text):
            rounds.append(RoundRows(text, []))
        else:
            last.text = text
        if rounds[-1].calls and not rounds[-1].after:
            self._fold.count("turns whose last calls were never made (they have no result)")
        self._write_rounds(file, rounds)

    def _write_rounds(self, file: SessionFile, rounds: list[RoundRows]) -> None:
        for rows in rounds:
            payload = {"content": rows.text or None, "tool_calls": rows.calls or None, **rows.more}
            file.chunk("assistant", payload)
            for kind, after in rows.after:
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
        yield from self._fold.notes()


def _is_reworded(returned: RecordDict) -> bool:
    """Whether a result is an error that rath would have put in other words."""
    return not returned.get("ok", True) and not is_error_body(returned.get("result"))


def _add_call(calls: list[dict[str, Any]], called: RecordDict) -> None:
    """Adds a call that the reply itself does not have."""
    id_ = str(called.get("id", ""))
    if any(str(call.get("id") or "") == id_ for call in calls):
        return
    arguments = called.get("raw_arguments")
    if not arguments:
        arguments = json.dumps(called.get("arguments") or {}, ensure_ascii=False)
    function = {"name": str(called.get("name", "")), "arguments": str(arguments)}
    calls.append({"id": id_, "type": "function", "function": function})
