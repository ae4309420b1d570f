"""Whose hooks a rehook runs: the question, and what it offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convtui.analysis.rehook.rehook_process import start_for
from convtui.errors import ConvtuiError
from convtui.protocol import StartSpec
from convtui.tui.screens.dialogs.questions import Ask


def named_by_user(log: Path, spec: str) -> str:
    """`spec` where the log names it and is this user's own; else nothing."""
    from convtui.log.run_summary import header_of
    from convtui.trust.rules import why_not_own

    try:
        header = header_of(log)
        told = header.get("provider")
        names = {own_provider(header), told.get("spec") if isinstance(told, dict) else None}
        return spec if spec in names and not why_not_own(header) else ""
    except (OSError, ValueError):
        return ""


def own_provider(header: Mapping[str, Any]) -> str:
    """The SPEC of the provider that a log's header names; a file as an absolute path."""
    told = header.get("provider")
    told = told if isinstance(told, dict) else {}
    spec = str(told.get("spec") or told.get("name") or "")
    name = spec.rpartition(":")[2]
    return f"{told['file']}:{name}" if told.get("file") and ":" in spec else spec


def ask_provider(value: str, what: str) -> Ask:
    """The question whose hooks are to run."""
    return Ask(
        "Whose hooks?",
        value=value,
        hint=f"file.py:Name or package.module:Name, {what}. Its code is run, no model is called.",
        check=_mistake,
    )


def _mistake(spec: str) -> str | None:
    try:
        start_for(spec.strip(), cwd=Path.cwd()) if spec.strip() else None
    except ConvtuiError as error:
        return str(error)
    return None if spec.strip() else "Write a provider: file.py:Name, package.module:Name, demo."


def files_of(start: StartSpec) -> list[Path]:
    """The provider's own file; empty where it is in none."""
    from convtui.scenario.provider_spec import parse_provider_spec

    provider = start.scenario.get("provider")
    source = start.scenario.get("source")
    base = Path(str(source.get("base", "."))) if isinstance(source, dict) else Path()
    use = provider.get("use") if isinstance(provider, dict) else provider
    try:
        spec = parse_provider_spec(str(use), base).located(base)
    except ConvtuiError:
        return []
    return [Path(spec.target)] if spec.kind == "file" else []
