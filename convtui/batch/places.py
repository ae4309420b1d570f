"""Where the values of a plan stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from convtui.errors import Problem
from convtui.files.validation import KeyPath, Lines, dotted, line_of


@dataclass(frozen=True, slots=True)
class Places:
    """Where the values of a plan stand: in lines of its file, or in flags.

    `flags` maps the key of a value to the flag that gave it.
    """

    path: Path | None = None
    lines: Lines = field(default_factory=dict)
    flags: Mapping[KeyPath, str] = field(default_factory=dict)

    def problem(self, where: KeyPath, message: str) -> Problem:
        """A mistake in the value at `where`."""
        around = where
        while around:
            if around in self.flags:
                return Problem(message, path=self.flags[around])
            around = around[:-1]
        return Problem(message, path=self.path, line=line_of(self.lines, where), key=dotted(where))

    def attributed(self, problem: Problem) -> Problem:
        """A mistake that is placed by its key alone, placed by the flag that caused it."""
        for where, flag in sorted(self.flags.items(), key=lambda item: -len(item[0])):
            key = dotted(where) or ""
            if problem.key == key or (problem.key or "").startswith((f"{key}.", f"{key}[")):
                return Problem(problem.message, path=flag)
        return problem
