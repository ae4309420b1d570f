"""What an import of a file says, for the tests of the formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.cli.check import check_log
from convtui.log.formats.importing import FileReader, Import
from convtui.log.formats.registry import format_for
from convtui.log.reader import open_log

Row = dict[str, Any]


@dataclass(slots=True, frozen=True)
class Told:
    """A log that an import has written."""

    log: Path
    header: Row
    records: list[Row]
    turns: list[tuple[str, str]]
    """Who said what, also what is inactive."""

    @property
    def said(self) -> list[tuple[str, str]]:
        """Who said what that stands."""
        return [(one["speaker"], one["text"]) for one in self.all("turn.committed")]

    def all(self, kind: str) -> list[Row]:
        """Its records of a type."""
        return [record for record in self.records if record["type"] == kind]

    def kinds(self, prefix: str) -> set[str]:
        """The types of its records that begin so."""
        return {record["type"] for record in self.records if record["type"].startswith(prefix)}

    def prompts(self) -> list[int | None]:
        """The tokens that each reply was asked with, as far as the file says."""
        return [(one.get("usage") or {}).get("prompt_tokens") for one in self.all("llm.response")]

    def results(self) -> list[tuple[str, bool]]:
        """The tools that have returned, and whether they went well."""
        return [(one["name"], one["ok"]) for one in self.all("tool.returned")]


def imported(path: Path, folder: Path, name: str) -> tuple[list[Told], list[str]]:
    """The conversations of a file or a folder that is recognised as `name`, and the findings."""
    format_ = format_for(path)
    assert format_.name == name and format_.read is not None
    paths = format_.files(path) if format_.files is not None and path.is_dir() else [path]
    reader = FileReader(paths, format_.read)
    work = Import(folder, reader.damage)
    told = [_told(outcome.log) for outcome in work.run(reader.read())]
    return told, [finding.placed for finding in work.findings]


def _told(path: Path) -> Told:
    assert check_log(path) == []
    with open_log(path) as opened:
        transcript = opened.transcript
        return Told(
            path,
            transcript.header,
            list(opened.records()),
            [(turn.speaker, turn.text) for turn in transcript.turns],
        )
