"""A file that has grown since it was imported: the log of what it is now names the earlier one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from convtui.errors import LogError
from convtui.log.formats.registry import Imported
from convtui.log.reader import open_log
from convtui.records.models import TurnCommitted
from convtui.secrets.redactor import Redactor


def is_grown(imported: Imported, earlier: Path, redactor: Redactor | None) -> bool:
    """Whether a conversation begins with all turns of an earlier log, and goes on after them."""
    try:
        with open_log(earlier) as log:
            said = [record for record in log.records() if record.get("type") == "turn.committed"]
            before = list(_chain((str(r.get("speaker")), str(r.get("text"))) for r in said))
    except (LogError, OSError):
        return False
    if not before:
        return False
    clean = redactor.text if redactor is not None else str
    now = list(
        _chain(
            (record.speaker, clean(record.text))
            for _, record in imported.records
            if isinstance(record, TurnCommitted)
        )
    )
    return len(now) > len(before) and now[len(before) - 1] == before[-1]


def _chain(turns: Iterable[tuple[str, str]]) -> Iterator[bytes]:
    """A digest for each turn, of it and all before it."""
    digest = hashlib.sha256()
    for speaker, text in turns:
        digest.update(f"{speaker}\0{text}\0".encode(errors="surrogatepass"))
        yield digest.digest()
