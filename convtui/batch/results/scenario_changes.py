"""What was changed between two batches, by the headers of their logs: prompts, settings, code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from convtui.batch.results.compare import BatchComparison, CellChange
from convtui.log.run_summary import header_of
from convtui.records.codec import RecordDict
from convtui.records.values import as_object, as_text

_NOT_SET: Final = "(not set)"
_IGNORED: Final = ("source", "name")
"""Keys of a scenario that change nothing: where it was read from."""


@dataclass(slots=True, frozen=True)
class ScenarioChange:
    """A key whose value differs. Texts are foreign."""

    key: str
    """Dotted, as in a scenario; or what else is on record: the provider's code, versions."""
    before: str
    after: str
    cells: int
    """Cells in which it changed in this way."""


def scenario_changes(comparison: BatchComparison) -> list[ScenarioChange]:
    """What differs between the logs of both batches, what is so in most cells first.

    Blocking: reads the header of one log of each cell in each batch.
    """
    found: dict[tuple[str, str, str], int] = {}
    for cell in comparison.cells:
        for change in _of_cell(cell):
            found[change] = found.get(change, 0) + 1
    changes = [ScenarioChange(*change, count) for change, count in found.items()]
    return sorted(changes, key=lambda change: -change.cells)


def _of_cell(cell: CellChange) -> Iterator[tuple[str, str, str]]:
    pair = next((p for p in cell.pairs if p.before.log and p.after.log), None)
    if pair is None or pair.before.log is None or pair.after.log is None:
        return
    try:
        before, after = _values(header_of(pair.before.log)), _values(header_of(pair.after.log))
    except (OSError, ValueError):
        return
    for key in dict.fromkeys((*before, *after)):
        old, new = before.get(key, _NOT_SET), after.get(key, _NOT_SET)
        if old != new:
            yield key, old, new


def _values(header: RecordDict) -> dict[str, str]:
    scenario = as_object(header.get("scenario"))
    values = dict(
        _leaves({key: value for key, value in scenario.items() if key not in _IGNORED}, ())
    )
    provider = as_object(header.get("provider"))
    code = as_text(provider.get("sha256"))
    if code:
        values["code of the provider"] = f"{as_text(provider.get('file'))} ({code[:12]})"
    for name, version in as_object(header.get("environment")).items():
        values[f"{name} (version)"] = str(version)
    return values


def _leaves(value: Any, path: Sequence[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif path:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield ".".join(path), text
