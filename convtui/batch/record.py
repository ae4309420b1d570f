"""A plan as the manifest of its batch keeps it: what it asks for, and how to read it again.

How to read it again names code, as a log's header does, and follows the same rule: what this user's
own program wrote, and nobody changed since, is run again without asking (`convtui.config.seal`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convtui.batch.flags import are_whole, public_flags
from convtui.batch.plan import Plan
from convtui.config.paths import Paths
from convtui.config.seal import is_sealed, load_key, seal_of
from convtui.errors import FileError
from convtui.files.regular import is_file
from convtui.records.values import as_object, as_text


@dataclass(frozen=True, slots=True)
class PlanSource:
    """Where a plan came from: the file and the flags of a command, and where it was given."""

    file: Path | None
    """A plan or a scenario; None where flags said everything."""
    flags: Mapping[str, Any]
    cwd: Path
    own: bool = True
    """Whether this user's own program wrote it, and nobody changed it since."""

    @property
    def readable(self) -> bool:
        """Whether the same plan can be read again: no flag was masked, the file is there."""
        return are_whole(self.flags) and (self.file is None or is_file(self.file))

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> PlanSource | None:
        """The source in what `plan_record()` made; None where there is none."""
        source = as_object(record.get("source"))
        cwd = as_text(source.get("cwd"))
        if not cwd:
            return None
        file = as_text(source.get("file"))
        flags = as_object(source.get("flags"))
        return cls(Path(file) if file else None, flags, Path(cwd), _is_own(source))


def plan_record(plan: Plan, source: PlanSource) -> dict[str, Any]:
    """The plan for a manifest, without secrets: its keys as in the file but for `vary`, of which
    the cells tell, and `source`."""
    own = plan.model_dump(
        mode="json", exclude_none=True, exclude={"vary", "scenario", "name"}, exclude_unset=False
    )
    return {
        **own,
        "name": plan.title,
        "source": _sealed(
            {
                "file": None if source.file is None else str(source.file.absolute()),
                "flags": public_flags(source.flags),
                "cwd": str(source.cwd.absolute()),
            }
        ),
    }


def _sealed(source: dict[str, Any]) -> dict[str, Any]:
    """The source with its seal; without one where there is no key that can be used."""
    try:
        key = load_key(Paths.find(), make=True)
    except FileError:
        return source
    return source if key is None else {**source, "seal": seal_of(key, _part(source))}


def _is_own(source: Mapping[str, Any]) -> bool:
    try:
        key = load_key(Paths.find())
    except FileError:
        return False
    return key is not None and is_sealed(key, _part(source), source.get("seal"))


def _part(source: Mapping[str, Any]) -> dict[str, Any]:
    """What is sealed: all that can name something."""
    return {"of": "batch", **{name: source.get(name) for name in ("file", "flags", "cwd")}}
