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
from convtui.log.formats.export_fold import (
    ExportFold,
    Round,
    is_provider,
    new_file,
    seeded_turns,
    system_prompt,
)
from convtui.log.formats.hermes.tags import reply_of, response_of
from convtui.log.formats.registry import Written
from convtui.log.reader import Log
from convtui.records.codec import EXIT_CODES, RecordDict
from convtui.records.interim import last_round
from convtui.records.values import as_object

TRAJECTORY: Final = "hermes-trajectory"
PLAIN_ROLES: Final = {
    "from": {"system": "system", "human": "user", "gpt": "assistant", "tool": "tool"},
    "role": {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"},
}
"""The names of roles in each spelling."""
PLACED: Final = frozenset({"tool.called", "history.seeded"})
_OWN: Final = ("from", "value", "content", "new_turn", "id")
"""What a source says for this module, and no message has."""

Item = dict[str, Any]


def write(log: Log, out: Path) -> Written:
    """Writes one file below `out`, named after the log.

    Raises `FileError` when it is there already or cannot be written.
    """
    export = _Export(log)
    lines = list(export.lines())
    if not lines:
        raise FileError(f"{log.path}: nothing was said: there is nothing to export")
    path = out / f"{log.path.stem}.trajectory.jsonl"
    with new_file(path) as file:
        file.write(b"".join(lines))
    return Written((path,), tuple(export.notes()))


class _Export:
    """The conversations of a log, one a session."""

    def __init__(self, log: Log) -> None:
        self._fold = ExportFold(log, TRAJECTORY, PLACED)
        self._log = log
        spelling = "role" if self._fold.imported.get("spelling") == "role" else "from"
        self._names = {ours: name for name, ours in PLAIN_ROLES[spelling].items()}
        self._keys = (spelling, "value" if spelling == "from" else "content")
        self._sessions: dict[int, list[Item]] = {}
        self._prompted: set[int] = set()

    def lines(self) -> Iterator[bytes]:
        """What is to be written."""
        self._fold.run(
            {
                "hermes.system": self._on_system,
                "history.seeded": self._on_seeded,
                "llm.request": self._on_request,
                "turn.committed": self._on_committed,
                "turn.skipped": self._on_unsaid,
                "session.ended": self._on_unsaid,
            }
        )
        header, imported = self._fold.header, self._fold.imported
        termination = as_object(self._log.transcript.termination)
        columns = {
            "timestamp": header.get("created_at"),
            "model": self._fold.provider.get("model"),
            "completed": EXIT_CODES.get(str(termination.get("kind")), 3) == 0,
        }
        if imported:
            columns = as_object(imported.get("trajectory"))
        keys = imported.get("keys") or ["conversations", *columns]
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
        return self._fold.notes()

    def _items(self, record: RecordDict) -> list[Item]:
        return self._sessions.setdefault(_session(record), [])

    def _item(self, role: str, value: Any, source: dict[str, Any]) -> Item:
        """A message; `source` is what a trajectory said of it beside role and value."""
        more = {key: kept for key, kept in source.items() if key not in _OWN}
        role_key, value_key = self._keys
        return {role_key: source.get("from") or self._names[role], value_key: value, **more}

    # --- one method a record type

    def _on_system(self, record: RecordDict) -> None:
        if self._fold.rounds:
            self._fold.rounds[-1].after.append(record)
        else:
            self._items(record).append(self._system(record))

    def _on_request(self, record: RecordDict) -> None:
        if not is_provider(record) or _session(record) in self._prompted:
            return
        self._prompted.add(_session(record))
        prompt = system_prompt(self._fold.messages(record) or [])
        if prompt is not None:
            self._items(record).insert(0, self._item("system", prompt, {}))

    def _on_seeded(self, record: RecordDict) -> None:
        for turn in seeded_turns(record):
            provider = turn.get("speaker") == "provider"
            text = last_round(turn)
            value = reply_of(text, None, []) if provider else text
            self._items(turn).append(self._item("assistant" if provider else "user", value, {}))

    def _on_committed(self, record: RecordDict) -> None:
        text = last_round(record)
        if record.get("speaker") != "provider":
            self._items(record).append(self._item("user", text, self._fold.source(record)))
            return
        rounds = self._fold.take_rounds()
        last = rounds[-1] if rounds else Round()
        waiting = last.reply is not None and not last.has_results
        items = [item for round in rounds[:-1] for item in self._round(round)]
        items += self._round(last, text if waiting else None)
        if not waiting:
            items.append(self._item("assistant", reply_of(text, None, []), {}))
        self._items(record).extend(items)

    def _on_unsaid(self, record: RecordDict) -> None:
        """A turn without a reply: a trajectory has what there was of it."""
        items = [item for round in self._fold.take_rounds() for item in self._round(round)]
        if items and self._fold.imported:
            self._items(record).extend(items)
        elif items:
            self._fold.count("turns without a reply left out")

    # --- the messages of a turn

    def _system(self, record: RecordDict) -> Item:
        data = as_object(record.get("data"))
        return self._item("system", data.get("content"), data if self._fold.imported else {})

    def _round(self, round: Round, shown: str | None = None) -> Iterator[Item]:
        """The messages of a round; `said` is what was said of its reply."""
        if round.reply is not None:
            yield self._assistant(round, shown)
        results: list[RecordDict] = []
        for record in round.after:
            if record.get("type") == "tool.returned":
                results.append(record)
            elif record.get("type") == "hermes.system":
                yield from self._tool(results)
                results = []
                yield self._system(record)
        yield from self._tool(results)

    def _assistant(self, round: Round, shown: str | None) -> Item:
        reply = round.reply or {}
        source = self._fold.source(reply)
        raw = str(reply.get("raw", ""))
        if self._fold.imported:
            return self._item("assistant", source.get("value", raw), source)
        calls: list[tuple[str, Any]] = []
        for record in round.after:
            if record.get("type") == "tool.returned":
                break
            if record.get("type") == "tool.called":
                given = record.get("arguments")
                given = record.get("raw_arguments") if given is None else given
                calls.append((str(record.get("name", "")), given))
        reasoning = reply.get("reasoning")
        thought = reasoning if isinstance(reasoning, str) else None
        return self._item(
            "assistant", reply_of(raw if shown is None else shown, thought, calls), {}
        )

    def _tool(self, results: list[RecordDict]) -> list[Item]:
        """The messages of results: one message has those that stood in one."""
        role_key, value_key = self._keys
        items: list[Item] = []
        exact = False
        """Whether the last message is the exact text that stood in a file, with all its results."""
        for record in results:
            source = self._fold.source(record)
            value = source.get("value")
            joins = (
                bool(items)
                and items[-1][role_key] == self._names["tool"]
                and not source.get("new_turn")
            )
            if isinstance(value, str):
                items.append(self._item("tool", value, source))
                exact = True
                continue
            if joins and exact:
                continue
            name, id_ = str(record.get("name", "")), str(record.get("id", ""))
            text = response_of(id_, name, record.get("result"))
            if joins:
                items[-1][value_key] += f"\n{text}"
            else:
                items.append(self._item("tool", text, source))
                exact = False
        return items


def _session(record: RecordDict) -> int:
    session = record.get("session")
    return session if isinstance(session, int) else 1
