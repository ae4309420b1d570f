"""`convtui import --list`: what is in a file that holds many sessions, and which are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from convtui.cli.common import print_json, table
from convtui.cli.import_findings import as_json_finding, say_findings
from convtui.errors import UsageError, did_you_mean
from convtui.text.boundary import one_line

if TYPE_CHECKING:
    from convtui.log.formats.findings import Finding
    from convtui.log.formats.registry import Listed


def choose(
    listed: list[Listed],
    path: str,
    *,
    ids: tuple[str, ...],
    source: str | None,
    ended: str | None,
    min_messages: int | None,
    max_sessions: int | None,
) -> list[Listed]:
    """The sessions that the flags select, in order. Raises `UsageError` if there are none."""
    known = [one.id for one in listed]
    for id_ in ids:
        if id_ not in known:
            raise UsageError(
                f"{path}: there is no session {id_!r} in it{did_you_mean(id_, known)}; --list says"
                " which there are"
            )
    matches = [
        one
        for one in listed
        if (not ids or one.id in ids)
        and (source is None or one.source == source)
        and (ended is None or (one.ended or "open") == ended)
        and (min_messages is None or (one.messages or 0) >= min_messages)
    ]
    if listed and not matches:
        raise UsageError(f"{path}: none of its {len(listed)} sessions is like that; see --list")
    return matches[:max_sessions]


def print_sessions(listed: list[Listed], damage: list[Finding], *, as_json: bool) -> None:
    if as_json:
        rows = [asdict(one) for one in listed]
        for row in rows:
            row["created_at"] = row["created_at"] and row["created_at"].isoformat()
        print_json({"sessions": rows, "findings": [as_json_finding(finding) for finding in damage]})
        return
    table(
        [
            ["SESSION", "STARTED (UTC)", "FROM", "MESSAGES", "ENDED", "MODEL", "TITLE"],
            *([*_row(one)] for one in listed),
        ]
    )
    say_findings(damage, as_json=as_json)


def _row(one: Listed) -> Iterator[str]:
    yield one.id
    yield f"{one.created_at:%Y-%m-%d %H:%M}" if one.created_at is not None else "-"
    yield one.source
    yield "-" if one.messages is None else str(one.messages)
    yield one.ended or "open"
    yield one.model
    relation = f"({one.relation} of {one.parent}) " if one.relation else ""
    yield relation + one_line(one.title)
