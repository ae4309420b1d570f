"""The personas of a plan: SPECs, globs of files, and rows of tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from convtui.batch.plan import Plan
from convtui.errors import DataFileError, Problem, UsageError, did_you_mean, listed
from convtui.files.regular import exists, is_dir, is_file
from convtui.files.validation import KeyPath
from convtui.files.yaml import load_yaml, validate
from convtui.scenario.persona import Persona, builtin_personas, load_persona, row_persona
from convtui.scenario.persona_table import SUFFIXES, PersonaTable, read_persona_table
from convtui.scenario.provider_spec import absolute
from convtui.scenario.scenario import Scenario
from convtui.text.counts import counted

_YAML: Final = (".yaml", ".yml")
_TABLE: Final = re.compile(r"(?P<path>.*\.(?:tsv|csv)):(?P<rows>.*)", re.IGNORECASE | re.DOTALL)
_OTHER_KEYS: Final = frozenset({"persona", "provider", "scenario", "vary"})
"""Keys of scenarios and plans that no persona has."""
_MOST_FILES: Final = 10_000
_WILD: Final = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class PersonaChoice:
    """One persona of a plan: what it is called, and either itself or what is wrong with it."""

    name: str
    where: KeyPath
    """The entry of the plan that it is from."""
    persona: Persona | None
    problems: tuple[Problem, ...] = ()
    task: Scenario | None = None
    """The whole scenario that it comes with, in place of the plan's."""


def persona_choices(plan: Plan) -> list[PersonaChoice]:
    """The personas of a plan in order, each once; those that cannot be used have `problems`.

    Raises `DataFileError` for an entry that names no persona at all, such as a glob without a
    match, and for one that is there twice.
    """
    entries = plan.vary.persona
    if entries is None:
        return list(_own(plan))
    if len(plan.tasks) > 1:
        message = (
            "every task of a waza eval has a user of its own; name one task with --task, or leave"
            " this out"
        )
        raise DataFileError([plan.places.problem(("vary", "persona"), message)])
    choices: dict[str, PersonaChoice] = {}
    problems: list[Problem] = []
    written: dict[str, int] = {}
    reader = _Reader(plan)
    for number, entry in enumerate(entries):
        where: KeyPath = ("vary", "persona", number)
        text = entry if isinstance(entry, str) else repr(entry)
        if text in written:
            message = f"this entry is there twice; `runs` says how often a cell runs: {text}"
            problems.append(plan.places.problem(where, message))
            continue
        written[text] = number
        try:
            for identity, choice in reader.choices(entry, where):
                # Globs may overlap, and name what is written beside them.
                choices.setdefault(identity, choice)
        except DataFileError as error:
            problems += error.problems
        except UsageError as error:
            problems.append(plan.places.problem(where, str(error)))
    if problems:
        raise DataFileError(problems)
    return list(choices.values())


def _own(plan: Plan) -> Iterator[PersonaChoice]:
    """The user of each task, else the persona of the scenario, or the demo's."""
    for task in plan.tasks:
        yield PersonaChoice(task.name, ("scenario",), task.persona, task=task)
    if not plan.tasks:
        scenario = plan.base_scenario
        persona = load_persona("demo") if scenario is None else scenario.persona
        yield PersonaChoice(persona.name, ("scenario",), persona)


class _Reader:
    """Reads the personas of a plan, with the templates for those of tables."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        scenario = plan.base_scenario
        self._template = plan.persona_template
        self._context = plan.persona_context_template
        self._reminder = plan.persona_reminder
        if scenario is not None:
            self._template = self._template or scenario.persona_template
            self._context = self._context or scenario.persona_context_template
            self._reminder = self._reminder or scenario.persona_reminder

    def choices(self, entry: Any, where: KeyPath) -> Iterator[tuple[str, PersonaChoice]]:
        """The personas of one entry, each with what it is known by. Raises `UsageError`."""
        if isinstance(entry, dict):
            yield repr(entry), self._mapping(entry, where)
            return
        text = entry.strip()
        table = _TABLE.fullmatch(text)
        if table and not _is_wild(table["path"], self._plan.base):
            yield from self._rows(
                absolute(table["path"], self._plan.base), table["rows"].strip(), where
            )
        elif _is_wild(text, self._plan.base) and text not in _builtin():
            yield from self._files(text, where)
        elif Path(text).suffix.lower() in SUFFIXES:
            hint = f"all rows are {text}:*"
            raise UsageError(f"{text}: say which rows; {hint}")
        else:
            yield self._file(text, where)

    def _mapping(self, data: dict[str, Any], where: KeyPath) -> PersonaChoice:
        name = str(data.get("name") or "unnamed")
        lines = {
            key[len(where) :]: line
            for key, line in self._plan.places.lines.items()
            if key[: len(where)] == where
        }
        try:
            persona = validate(Persona, data, lines, self._plan.path, what="persona")
        except DataFileError as error:
            return self._unusable(name, where, error)
        return PersonaChoice(name, where, persona)

    def _unusable(self, name: str, where: KeyPath, error: UsageError) -> PersonaChoice:
        placed = isinstance(error, DataFileError) and all(each.path for each in error.problems)
        if isinstance(error, DataFileError) and placed:
            return PersonaChoice(name, where, None, error.problems)
        return PersonaChoice(name, where, None, (self._plan.places.problem(where, str(error)),))

    def _file(self, spec: str, where: KeyPath) -> tuple[str, PersonaChoice]:
        """A file or a built-in persona. One that cannot be read is a choice with an error."""
        base = self._plan.base
        known = spec if spec in _builtin() else str(absolute(spec, base))
        try:
            persona = load_persona(spec, base, named_by=self._plan.path)
        except UsageError as error:
            return known, self._unusable(Path(spec).stem, where, error)
        return known, PersonaChoice(persona.name, where, persona)

    def _files(self, pattern: str, where: KeyPath) -> Iterator[tuple[str, PersonaChoice]]:
        parts = Path(pattern).parts
        fixed = next(n for n, part in enumerate(parts) if _WILD.search(part))
        folder = absolute(str(Path(*parts[:fixed])), self._plan.base)
        scenario = self._plan.base_scenario
        own = {self._plan.path, None if scenario is None else scenario.path}
        hidden = parts[-1].startswith(".")
        matches = [
            path
            for path in _matching(folder, str(Path(*parts[fixed:])), pattern)
            if path not in own and (hidden or not path.name.startswith("."))
        ]
        usable = [
            path
            for path in matches
            if path.suffix.lower() in (*_YAML, *SUFFIXES) and not _is_for_another_use(path)
        ]
        if not usable:
            raise UsageError(_no_match(pattern, matches, folder))
        for path in usable:
            if path.suffix.lower() in SUFFIXES:
                yield from self._rows(path, "*", where)
            else:
                yield self._file(str(path), where)

    def _rows(self, path: Path, rows: str, where: KeyPath) -> Iterator[tuple[str, PersonaChoice]]:
        table = read_persona_table(path)
        names = _row_names(table, rows)
        if not names:
            raise UsageError(_no_row(table, rows))
        for name in names:
            yield f"{path}:{name}", self._row(table, name, where)

    def _row(self, table: PersonaTable, name: str, where: KeyPath) -> PersonaChoice:
        template, context, reminder = (
            Path(text) if text else None for text in (self._template, self._context, self._reminder)
        )
        try:
            persona = row_persona(
                table, name, template, context_template=context, reminder=reminder
            )
        except UsageError as error:
            return self._unusable(name, where, error)
        return PersonaChoice(name, where, persona)


def _matching(folder: Path, pattern: str, written: str) -> list[Path]:
    """The files in a folder that match, sorted. Raises `UsageError` for what is no pattern."""
    files: list[Path] = []
    try:
        for path in folder.glob(pattern):
            if is_file(path):
                files.append(path)
            if len(files) > _MOST_FILES:
                raise UsageError(f"{written} matches more than {_MOST_FILES:,} files")
    except (ValueError, OSError) as error:
        raise UsageError(f"{written}: {error}") from None
    return sorted(files)


def _is_for_another_use(path: Path) -> bool:
    """Whether it is a scenario or a plan, which may be where the personas are."""
    if path.suffix.lower() in SUFFIXES:
        return False
    try:
        data = load_yaml(path).data
    except UsageError:
        return False
    return isinstance(data, dict) and not _OTHER_KEYS.isdisjoint(map(str, data))


def _builtin() -> set[str]:
    return {persona.name for persona in builtin_personas()}


def _is_wild(text: str, base: Path) -> bool:
    """Whether it is a pattern, and no file whose name has such signs."""
    return _WILD.search(text) is not None and not exists(absolute(text, base))


def _row_names(table: PersonaTable, rows: str) -> list[str]:
    """The names of the rows that are meant, those that cannot be used among them."""
    every = [*table.names, *(name for name in table.broken if name not in table.rows)]
    if rows in every:
        return [rows]
    return [name for name in every if fnmatchcase(name, rows)] if rows else []


def _no_row(table: PersonaTable, rows: str) -> str:
    if not table.names and not table.broken:
        return f"{table.path}: there is no persona in this table: no row follows its first line"
    has = f"it has {listed(table.names)}"
    if not rows:
        return f"{table.path}: say which rows, {table.path.name}:* for all; {has}"
    near = did_you_mean(rows, table.names)
    return f"{table.path}: no row is named {rows!r}{near}; {has}"


def _no_match(pattern: str, matches: Iterable[Path], folder: Path) -> str:
    others = [path.name for path in matches]
    if others:
        return (
            f"{pattern} matches {counted(len(others), 'file')}, but no persona (.yaml) and no table"
            f" (.tsv, .csv): {listed(others)}"
        )
    if not is_dir(folder):
        return f"{pattern} matches nothing: there is no folder {folder}"
    return f"{pattern} matches nothing in {folder}"
