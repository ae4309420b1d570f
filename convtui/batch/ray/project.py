"""The part of the user's files that nodes get: one folder, without what does not belong there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from convtui.errors import UsageError
from convtui.files.project import project_root
from convtui.scenario.scenario import Scenario
from convtui.warm.names import is_path

EXCLUDES: Final = [
    ".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", "*.pyc",
    ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox", "build", "dist", "*.egg-info",
    ".env", ".env.*", "*.env", "*.pem", "*.key", "id_rsa*", "id_ed25519*", ".netrc", ".aws",
    ".ssh", ".kube", "*.jsonl",
]  # fmt: skip
"""What is never copied: other people's code, what is made from source, keys, logs."""


def project_of(scenarios: Iterable[Scenario]) -> Path | None:
    """The folder that nodes need for these scenarios; None where they name no file.

    It is the smallest one that has every provider, tool, template and log that they name, or the
    root of the project that it belongs to. Raises `UsageError` where that is too much.
    """
    files = {file for scenario in scenarios for file in files_of(scenario)}
    if not files:
        return None
    folder = Path(os.path.commonpath([str(file.parent) for file in files]))
    root = project_root(folder)
    project = root if root is not None else folder
    if project in (Path(project.anchor), Path.home()):
        names = ", ".join(sorted(file.name for file in files)[:5])
        raise UsageError(
            f"{names}: the folder that they have in common is {project}, which is not copied to"
            " nodes: put them into a folder of their own"
        )
    return project


def excludes_of(project: Path, scenarios: Iterable[Scenario]) -> list[str]:
    """What of a project is not copied, as patterns of `.gitignore`; what is named itself is."""
    named = {
        str(file.relative_to(project))
        for scenario in scenarios
        for file in files_of(scenario)
        if file.is_relative_to(project)
    }
    return [*EXCLUDES, *(f"!/{name}" for name in sorted(named))]


def files_of(scenario: Scenario) -> list[Path]:
    """The user's files that a scenario names, absolute. Raises `UsageError` for what nodes lack."""
    files: list[Path] = []
    spec = scenario.provider.spec
    if spec.kind in ("file", "recorded"):
        files.append(Path(spec.target))
    for tool in scenario.tools:
        name = (tool.use or "").rpartition(":")[0]
        if name.endswith((".py", ".pyw")):
            files.append(Path(name))
    if scenario.warm is not None:
        if not is_path(scenario.warm.use):
            raise UsageError(
                f"warm: {scenario.warm.use} is a template in your own folder, which nodes do not"
                " have: name its file, in the folder of the scenario"
            )
        files.append(Path(scenario.warm.use))
    return [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100 - links stay as named
