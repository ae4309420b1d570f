"""Databases and files as hermes writes them, made for tests."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

Row = dict[str, Any]
NOW = 1_776_000_000.0

OLD = (
    ("id", "source", "model", "parent_session_id", "started_at", "ended_at", "end_reason"),
    ("id", "session_id", "role", "content", "tool_call_id", "tool_calls", "tool_name", "timestamp"),
)
"""The columns of an early schema: of sessions and of messages."""
NEW = (
    (*OLD[0], "title", "system_prompt", "message_count", "input_tokens", "output_tokens",
     "cache_read_tokens", "estimated_cost_usd", "actual_cost_usd", "api_call_count", "new_in_23"),
    (*OLD[1], "finish_reason", "reasoning", "reasoning_details", "active", "compacted",
     "api_content", "observed"),
)  # fmt: skip
"""Those of a late one."""


def database(
    path: Path,
    sessions: Sequence[Row],
    messages: Sequence[Row],
    columns: Sequence[Sequence[str]] = NEW,
    *,
    version: int = 23,
    wal: bool = False,
) -> Path:
    """A database with these rows; what a row does not say is null, or the column's default."""
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE schema_version (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO schema_version VALUES (?)", (version,))
        for table, names in zip(("sessions", "messages"), columns, strict=True):
            connection.execute(f"CREATE TABLE {table} ({', '.join(map(_column, names))})")
        for row in sessions:
            insert(connection, "sessions", {"source": "cli", "started_at": NOW, **row}, columns[0])
        for row in messages:
            insert(connection, "messages", {"session_id": "s1", **row}, columns[1])
        connection.commit()
    return path


def _column(name: str) -> str:
    return {
        "id": "id PRIMARY KEY",
        "active": "active INTEGER NOT NULL DEFAULT 1",
        "compacted": "compacted INTEGER NOT NULL DEFAULT 0",
    }.get(name, name)


def insert(
    connection: sqlite3.Connection, table: str, row: Mapping[str, Any], columns: Sequence[str]
) -> None:
    """Puts in what the table has columns for."""
    known = {name: value for name, value in row.items() if name in columns}
    marks = ", ".join("?" * len(known))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(known)}) VALUES ({marks})", tuple(known.values())
    )


def said(*messages: Row) -> list[Row]:
    """Messages numbered from 1, a second after one another."""
    return [
        {"id": number, "timestamp": NOW + number, **message}
        for number, message in enumerate(messages, 1)
    ]


def user(text: Any, **more: Any) -> Row:
    return {"role": "user", "content": text, **more}


def reply(text: str | None, *calls: Row, **more: Any) -> Row:
    return {
        "role": "assistant",
        "content": text,
        **({"tool_calls": json.dumps(list(calls))} if calls else {}),
        **more,
    }


def call(id_: str, name: str, arguments: Any = "{}") -> Row:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(id_: str, content: Any, **more: Any) -> Row:
    text = content if isinstance(content, str) else json.dumps(content)
    return {
        "role": "tool", "tool_call_id": id_, "tool_name": "terminal", "content": text, **more
    }  # fmt: skip
