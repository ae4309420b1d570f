"""The user's warm templates: one JSON file each, in one folder, under safe names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from convtui.config.paths import Paths, write_private
from convtui.errors import DataFileError, FileError, Problem, UsageError, did_you_mean
from convtui.files.regular import is_file
from convtui.files.yaml import read_text
from convtui.text.boundary import safe_name
from convtui.text.relocation import path_here
from convtui.warm.names import MAX_PATTERNS, SUFFIX, is_path
from convtui.warm.templates import MAX_BYTES, WarmContext, WarmTemplate, context_of, parse_template


@dataclass(frozen=True, slots=True)
class Stored:
    """A template and the file it is in."""

    name: str
    """By which it is used: the file's, without its suffix."""
    path: Path
    template: WarmTemplate
    sha256: str
    """Digest of the file's text."""

    @classmethod
    def read(cls, name: str, path: Path) -> Stored:
        """The template in a file. Raises `FileError`, `DataFileError` with all its mistakes."""
        text = read_text(path, max_bytes=MAX_BYTES)
        template = parse_template(text, path, name=name)
        return cls(name, path, template, hashlib.sha256(text.encode()).hexdigest())

    def context(
        self, slots: Mapping[str, str] | None = None, max_patterns: int = MAX_PATTERNS
    ) -> WarmContext:
        """The context to inject. Raises `UsageError` for slots that are unknown or unfilled."""
        return context_of(
            self.template.model_copy(update={"name": self.name}),
            max_patterns=max_patterns,
            slots=slots,
            file=self.path,
            sha256=self.sha256,
        )

    def about(self) -> dict[str, Any]:
        """The row of a listing."""
        template = self.template
        return {
            "name": self.name,
            "description": template.description,
            "pattern_count": len(template.patterns),
            "tools": list(dict.fromkeys(pattern.tool_name for pattern in template.patterns)),
            "tags": list(template.tags),
            "sources": len(template.source_session_ids),
            "created_at": template.created_at,
            "version": template.version,
            "path": str(self.path),
        }


@dataclass(slots=True)
class Listing:
    """All templates of a folder by name, and the problems of files that cannot be read."""

    templates: list[Stored] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def checked_name(name: str) -> str:
    """`name` if it is valid for a template; else raises `UsageError` with one that is."""
    safe = safe_name(name, default="")
    if name and safe == name:
        return name
    hint = f", write {safe!r}" if safe and safe != "unnamed" else ""
    raise UsageError(
        f"{name!r} cannot be the name of a warm template: letters, digits, _ and - only{hint}"
    )


class WarmStore:
    """Templates in a folder, which need not exist. Blocking: call it in a thread from a screen."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """The file of a template. Raises `UsageError` for an invalid name."""
        return self.folder / f"{checked_name(name)}{SUFFIX}"

    def names(self) -> list[str]:
        """The names of all files, readable or not, sorted."""
        try:
            stems = [path.stem for path in self.folder.iterdir() if path.suffix == SUFFIX]
        except OSError:
            return []
        return sorted(name for name in stems if safe_name(name, default="") == name)

    def listing(self) -> Listing:
        """All templates, sorted by name; a file that cannot be read is a problem, not an error."""
        listing = Listing()
        for name in self.names():
            path = self.folder / f"{name}{SUFFIX}"
            try:
                listing.templates.append(Stored.read(name, path))
            except DataFileError as error:
                listing.problems.append(error.problems[0])
            except FileError as error:
                listing.problems.append(Problem(str(error)))
        return listing

    def load(self, name: str) -> Stored:
        """A template. Raises `UsageError` for a bad name and `FileError` for one that is not there
        or cannot be read."""
        path = self.path(name)
        if not is_file(path):
            raise self._not_there(name)
        return Stored.read(name, path)

    def _not_there(self, name: str) -> FileError:
        near = did_you_mean(name, self.names())
        hint = near or f"; `convtui warm list` shows those in {self.folder}"
        return FileError(f"there is no warm template {name!r}{hint}")

    def save(self, template: WarmTemplate, *, force: bool = False) -> Path:
        """Writes a template atomically, readable by the user alone; returns its file.

        Raises `UsageError` for a bad name, `FileError` when there is one of this name already
        (unless `force`), or when it cannot be written.
        """
        path = self.path(template.name)
        if not write_private(path, template.text(), replace=force):
            raise FileError(
                f"there is a warm template {template.name!r} already ({path}); --force replaces it"
            )
        return path

    def rewrite(self, name: str, text: str, source: Path | None = None) -> Path:
        """Puts a text that was edited into the file of a template; returns the file.

        The file is left as it was where the text is no template of this name: raises
        `DataFileError` with every mistake (of the file `source`, where the text stands), or
        `UsageError`; `FileError` where it cannot be written.
        """
        path = self.path(name)
        template = parse_template(text, source or path, name=name)
        if template.name != name:
            raise UsageError(f"{source or path}: name: must be {name!r}, as the file's")
        write_private(path, text)
        return path

    def delete(self, name: str) -> Path:
        """Deletes a template, readable or not; returns the file it was in.

        Raises `UsageError` for a bad name and `FileError` when it is not there.
        """
        path = self.path(name)
        try:
            path.unlink()
        except FileNotFoundError:
            raise self._not_there(name) from None
        except OSError as error:
            raise FileError(f"{path}: cannot be deleted: {error.strerror or error}") from None
        return path

    def find(self, use: str) -> Stored:
        """The template that a scenario names: by name, or a path to a JSON file.

        Raises `UsageError`s as `load()` does.
        """
        if not is_path(use):
            return self.load(use)
        path = Path(use)
        return Stored.read(path.stem, path)


class Chosen(Protocol):
    """A scenario's choice of a template, and how it is filled."""

    @property
    def use(self) -> str:
        """A name, or a path."""

    @property
    def slots(self) -> Mapping[str, str]: ...

    @property
    def max_patterns(self) -> int: ...


def chosen_context(chosen: Chosen, folder: Path | None = None) -> WarmContext:
    """The context of the template that a scenario chooses; `folder` is the user's by default.

    Raises `UsageError` for one that is not there or cannot be read, and for slots that are not
    filled.
    """
    stored = WarmStore(folder or Paths.find().warm_dir).find(path_here(chosen.use))
    return stored.context(chosen.slots, chosen.max_patterns)
