"""What an export writes of one session of rath: its file, its lineage, the rounds of its turns."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.rath.records import SYSTEM, content_of
from convtui.log.formats.rath.rows import SCHEMA, line_of
from convtui.records.codec import RecordDict
from convtui.records.values import as_list, as_object, as_text

PERSONA: Final = "convtui.persona"
PROVIDER: Final = "convtui.provider"
LOG: Final = "convtui.log"
"""Names among the extras of a file that comes from a log of ours."""
_LINEAGE: Final = {"fork": "op_fork", "compress": "op_session_compress"}
"""What a log changed, or where it comes from, if that is not a session as any other."""


@dataclass(slots=True)
class RoundRows:
    """What the row of a reply holds, and the chunks after it: results of tools, system rows."""

    text: str
    calls: list[dict[str, Any]]
    after: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


class SessionFile:
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
        """The next row."""
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
            self.chunk(SYSTEM, {"content": system})
        for kind, payload in waiting:
            self.chunk(kind, payload)

    def close(self, trailer: dict[str, Any] | None) -> None:
        """The session is over; without a trailer where nobody knows how."""
        if self._file.closed:
            return
        self.begin(None)
        if trailer is not None:
            count = {"final_chunk_count": self._count}
            self._write({"record_type": "trailer", **count, **trailer})
        self._file.close()

    def drop(self) -> None:
        """Takes the file back."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def session_id(log: str, session: int) -> str:
    """The id of a session of a log: a UUID that follows from the log's id, the same every time."""
    if session == 1 and re.fullmatch(r"[0-9a-fA-F]{32}", log):
        return str(uuid.UUID(log))
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"convtui:{log}:{session}"))


def lineage(header: RecordDict, session: int) -> dict[str, Any]:
    """The lineage of a session of a log of ours, in the header's words."""
    origin = str(header.get("origin") or "run")
    change = str(as_object(header.get("change")).get("kind") or origin)
    parents = [as_object(parent).get("id") for parent in as_list(header.get("parents"))]
    names = {
        PERSONA: header.get("persona"),
        PROVIDER: as_object(header.get("provider")).get("name"),
        LOG: header.get("id"),
    }
    # What another tool's file or a stage that was run again says, no session loop has made.
    loop = origin in ("run", "continue", "compress")
    return {
        "parent_session_ids": [session_id(str(p), session) for p in parents if p],
        "lineage_operator": f"convtui.{change}",
        "lineage_kind": _LINEAGE.get(change, "op_session_loop") if loop else "unknown",
        "lineage_extras": [
            [name, value] for name, value in names.items() if isinstance(value, str) and value
        ],
    }


def rounds_in(messages: Any) -> list[RoundRows]:
    """The rounds of a turn whose messages are known by value."""
    rounds: list[RoundRows] = []
    for given in map(as_object, as_list(messages)):
        content = given.get("content")
        if given.get("role") == "assistant":
            calls = [call for call in as_list(given.get("tool_calls")) if as_object(call)]
            rounds.append(RoundRows(as_text(content), calls))
        elif given.get("role") == "tool" and rounds:
            id_ = str(given.get("tool_call_id", ""))
            functions = {str(c.get("id", "")): c.get("function") for c in rounds[-1].calls}
            text = content if isinstance(content, str) else content_of(content)
            name = str(as_object(functions.get(id_)).get("name") or "unknown")
            payload = {"tool_call_id": id_, "name": name, "content": text}
            rounds[-1].after.append(("tool_result", payload))
    return rounds
