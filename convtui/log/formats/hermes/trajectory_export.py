"""Writes a log as a trajectory of hermes: a line of JSON for each session that was held.

What was said is there, with the reasoning, the calls and the results that led to it as tags. A log
that was imported from a trajectory is written as it was; discarded and inactive turns are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.hermes.tags import reply_of, response_of
from convtui.log.formats.rath.files import as_list, as_object
from convtui.log.formats.registry import Written
from convtui.log.reader import Log
from convtui.log.requests import rebuild
from convtui.records.codec import EXIT_CODES, RecordDict
from convtui.records.interim import last_round

TRAJECTORY: Final = "hermes-trajectory"
PLAIN_ROLES: Final = {
    "from": {"system": "system", "human": "user", "gpt": "assistant", "tool": "tool"},
    "role": {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"},
}
"""The names of roles in each spelling."""
_LEFT_OUT: Final = {
    "turn.discarded": "discarded turns",
    "turn.inactive": "inactive turns",
    "llm.failed": "failed calls",
    "user.decided": "decisions of the simulated user",
    "provider.output": "captured outputs",
    "warning": "warnings",
}

Item = dict[str, Any]


def write(log: Log, out: Path) -> Written:
    """Writes one file below `out`, named after the log.

    Raises `FileError` when it is there already or cannot be written.
    """
    export = _Export(log)
    for record in log.records():
        export.take(record)
    lines = list(export.lines())
    if not lines:
        raise FileError(f"{log.path}: nothing was said: there is nothing to export")
    path = out / f"{log.path.stem}.trajectory.jsonl"
    try:
        out.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(b"".join(lines))
    except FileExistsError:
        raise FileError(
            f"{path}: is there already, and nothing is overwritten; see --out DIR"
        ) from None
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror}") from error
    return Written((path,), tuple(export.notes()))


class _Export:
    """One way through a log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        header = log.transcript.header
        told = as_object(header.get("imported"))
        known = header.get("origin") == "import" and told.get("format") == TRAJECTORY
        self._told: dict[str, Any] = told if known else {}
        self._spelling = "role" if self._told.get("spelling") == "role" else "from"
        self._names = {ours: name for name, ours in PLAIN_ROLES[self._spelling].items()}
        self._header = header
        self._sessions: dict[int, list[Item]] = {}
        self._turn: list[Item] = []
        """What the provider's turn has come to, until it is over."""
        self._calls: list[tuple[str, Any]] = []
        self._reply: RecordDict | None = None
        self._prompted: set[int] = set()
        self._counts: dict[str, int] = {}

    def take(self, record: RecordDict) -> None:
        """Takes in the next record."""
        kind = str(record.get("type"))
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, record)
        if _LEFT_OUT.get(kind):
            self._count(f"{_LEFT_OUT[kind]} left out")

    def lines(self) -> Iterator[bytes]:
        """What is to be written."""
        termination = as_object(self._log.transcript.termination)
        completed = EXIT_CODES.get(str(termination.get("kind")), 3) == 0
        columns = {
            "timestamp": self._header.get("created_at"),
            "model": as_object(self._header.get("provider")).get("model"),
            "completed": completed,
        }
        if self._told:
            columns = as_object(self._told.get("trajectory"))
        keys = self._told.get("keys") or ["conversations", *columns]
        for items in self._sessions.values():
            data = {**columns, "conversations": items}
            line = {key: data[key] for key in keys if key in data}
            try:
                yield json.dumps(line, ensure_ascii=False).encode() + b"\n"
            except UnicodeEncodeError:
                # Half of a surrogate pair: only an escape can say it.
                yield json.dumps(line).encode() + b"\n"

    def notes(self) -> Iterator[str]:
        """What the format has no place for."""
        for what, count in self._counts.items():
            yield f"{count} {what}"

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1

    def _items(self, record: RecordDict) -> list[Item]:
        session = record.get("session")
        return self._sessions.setdefault(session if isinstance(session, int) else 1, [])

    def _item(self, role: str, value: Any, record: RecordDict) -> Item:
        source = as_object(record.get("source")) if self._told else {}
        name = source.get("from") or self._names[role]
        first, second = ("from", "value") if self._spelling == "from" else ("role", "content")
        more = {
            key: kept
            for key, kept in source.items()
            if key not in ("from", "value", "content", "new_turn", "id")
        }
        return {first: name, second: value, **more}

    # --- one method a record type

    def _on_system(self, record: RecordDict) -> None:
        data = as_object(record.get("data"))
        item = self._item("system", data.get("content"), {"source": data})
        (self._turn if self._turn or self._reply else self._items(record)).append(item)

    def _on_request(self, record: RecordDict) -> None:
        session = record.get("session")
        if record.get("side") not in (None, "provider") or session in self._prompted:
            return
        self._prompted.add(session if isinstance(session, int) else 1)
        try:
            messages = rebuild(record, self._log.reader.by_seq)
        except ValueError:
            return
        first = as_object(messages[0]) if messages else {}
        if first.get("role") == "system" and isinstance(first.get("content"), str):
            items = self._items(record)
            items.insert(0, self._item("system", first["content"], {}))

    def _on_seeded(self, record: RecordDict) -> None:
        for turn in map(as_object, as_list(record.get("turns"))):
            provider = turn.get("speaker") == "provider"
            text = last_round(turn)
            value = reply_of(text, None, []) if provider else text
            self._items(turn).append(self._item("assistant" if provider else "user", value, {}))

    def _on_started(self, record: RecordDict) -> None:
        self._turn, self._calls, self._reply = [], [], None

    def _on_response(self, record: RecordDict) -> None:
        if record.get("side") not in (None, "provider"):
            return
        if (record.get("round") or 1) == 1:
            self._on_started(record)
        self._end_round()
        self._reply = record

    def _on_called(self, record: RecordDict) -> None:
        arguments = record.get("arguments")
        given = record.get("raw_arguments") if arguments is None else arguments
        self._calls.append((str(record.get("name", "")), given))

    def _on_returned(self, record: RecordDict) -> None:
        self._end_round()
        source = as_object(record.get("source")) if self._told else {}
        value = source.get("value")
        before = self._turn[-1] if self._turn else {}
        tool = before.get("from", before.get("role")) == self._names["tool"]
        if isinstance(value, str):
            self._turn.append({**self._item("tool", value, record), "whole": True})
            return
        if tool and before.get("whole") and not source.get("new_turn"):
            return  # it stands in the exact text of the turn
        text = response_of(str(record.get("id", "")), str(record.get("name", "")),
                           record.get("result"))  # fmt: skip
        if tool and not source.get("new_turn"):
            key = "value" if self._spelling == "from" else "content"
            before[key] = f"{before[key]}\n{text}"
        else:
            self._turn.append(self._item("tool", text, record))

    def _end_round(self, said: str | None = None) -> None:
        """The reply that is at hand is followed by something else; `said` is what was said."""
        reply, calls = self._reply, self._calls
        self._reply, self._calls = None, []
        if reply is None:
            return
        raw = str(reply.get("raw", ""))
        if self._told:
            value = as_object(reply.get("source")).get("value", raw)
        else:
            reasoning = reply.get("reasoning")
            thought = reasoning if isinstance(reasoning, str) else None
            value = reply_of(raw if said is None else said, thought, calls)
        self._turn.append(self._item("assistant", value, reply))

    def _on_committed(self, record: RecordDict) -> None:
        text = last_round(record)
        if record.get("speaker") != "provider":
            self._items(record).append(self._item("user", text, record))
            return
        if self._reply is None:
            self._turn.append(self._item("assistant", reply_of(text, None, []), {}))
        self._end_round(text)
        self._flush(record)

    def _on_dropped(self, record: RecordDict) -> None:
        self._on_started(record)

    def _on_unsaid(self, record: RecordDict) -> None:
        """A turn without a reply: a trajectory has what there was of it."""
        self._end_round()
        if self._told:
            self._flush(record)
        elif self._turn:
            self._count("turns without a reply left out")
        self._turn = []

    def _flush(self, record: RecordDict) -> None:
        for item in self._turn:
            item.pop("whole", None)
        self._items(record).extend(self._turn)
        self._turn = []


_HANDLERS: Final = {
    "hermes.system": _Export._on_system,
    "history.seeded": _Export._on_seeded,
    "turn.started": _Export._on_started,
    "llm.request": _Export._on_request,
    "llm.response": _Export._on_response,
    "tool.called": _Export._on_called,
    "tool.returned": _Export._on_returned,
    "turn.committed": _Export._on_committed,
    "turn.discarded": _Export._on_dropped,
    "turn.inactive": _Export._on_dropped,
    "turn.skipped": _Export._on_unsaid,
    "session.ended": _Export._on_unsaid,
}
