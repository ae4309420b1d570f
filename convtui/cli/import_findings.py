"""How `convtui import` says what it could not read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from convtui.cli.common import say

if TYPE_CHECKING:
    from convtui.log.formats.findings import Finding

_SHOWN: Final = 20
"""The most findings of a file that are printed."""


def as_json_finding(finding: Finding) -> dict[str, Any]:
    return {
        "file": str(finding.path),
        "line": finding.line,
        "code": finding.code,
        "message": finding.message,
    }


def say_findings(findings: list[Finding], *, as_json: bool) -> None:
    """Prints the first findings of each file on standard error."""
    counts: dict[Path, int] = {}
    for finding in findings:
        counts[finding.path] = counts.get(finding.path, 0) + 1
        if counts[finding.path] <= _SHOWN:
            say(f"convtui: {finding}")
    for path, count in counts.items():
        if count > _SHOWN:
            where = "" if as_json else " (all are in the logs and in --json)"
            say(f"convtui: {path}: {count - _SHOWN} more findings{where}")
