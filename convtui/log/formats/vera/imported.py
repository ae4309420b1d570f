"""What a header says of the VERA-MH files that a log was imported from. It may be forged."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from convtui.log.formats.vera.layout import Layout
from convtui.log.formats.vera.names import kept_name, parse_folder
from convtui.records.values import as_list, as_object


class ImportedRun:
    """The names and layouts of an imported run; of another log it knows nothing."""

    def __init__(self, details: Mapping[str, Any]) -> None:
        self._folder_name = as_object(details.get("folder")).get("name")
        home = details.get("home")
        self._home = home if isinstance(home, str) else "conversations"
        self._sessions: dict[int, dict[str, Any]] = {}
        for session in as_list(details.get("sessions")):
            if isinstance(session, dict):
                index = session.get("index")
                self._sessions[index if type(index) is int else 1] = session

    @property
    def folder(self) -> str | None:
        """The run folder's name, where that can be kept."""
        name = kept_name(self._folder_name)
        return name if name is not None and parse_folder(name) is not None else None

    @property
    def home(self) -> str:
        """Where in the run folder transcripts lie."""
        parts = self._home.split("/") if self._home else []
        safe = all(kept_name(part) is not None for part in parts)
        return self._home if safe else "conversations"

    def file(self, session: int) -> str | None:
        """The name of a session's transcript, where that can be kept."""
        name = kept_name(self._sessions.get(session, {}).get("file"))
        if name is None or not name.lower().endswith((".txt", ".log")):
            return None
        return name if name.lower().endswith(".txt") else f"{name[:-4]}.txt"

    def layout(self, session: int) -> Layout | None:
        """The layout of a session's transcript."""
        layout = self._sessions.get(session, {}).get("layout")
        return Layout.from_dict(layout) if isinstance(layout, dict) else None

    def problem(self, session: int, text: str) -> str | None:
        """Why a transcript is not, byte for byte, the one that was imported; None if it is."""
        known = self._sessions.get(session, {})
        if not known.get("transcript"):
            return None
        layout = self.layout(session)
        if layout is None:
            return (
                "its labels and line ends were not recorded when it was imported: it is written as"
                " VERA-MH writes transcripts"
            )
        if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() == known.get("sha256"):
            return None
        if layout.mixed:
            return "lines ended in several ways when it was imported; now all end in the same"
        return "its text is not, byte for byte, that of the file that was imported"

    def renamed(self) -> Iterator[str]:
        """Which names could not be kept."""
        if self._folder_name and self.folder is None:
            yield "the name of the run folder cannot be kept"
        for index, session in self._sessions.items():
            if session.get("file") and self.file(index) is None:
                yield f"session {index}: the name of its transcript cannot be kept"

    def logs_anew(self) -> Iterator[str]:
        """That logs which were imported are not copied."""
        count = sum(bool(session.get("log")) for session in self._sessions.values())
        if count:
            yield (
                f"{count} .log files are written anew from what was imported: settings that were in"
                " them besides are not in these"
            )
