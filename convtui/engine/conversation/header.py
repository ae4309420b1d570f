"""A log's file name and its first record."""

from __future__ import annotations

import platform
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from convtui import __version__
from convtui.engine.core.journal import Journal
from convtui.engine.core.state import ConversationState
from convtui.engine.resume.state import ResumeState
from convtui.errors import FileError
from convtui.protocol import AttemptSpec, ContinueFrom
from convtui.records.codec import REFLEXION
from convtui.records.models import Header, ParentRef
from convtui.text.boundary import safe_name
from convtui.trust.rules import make_seal


def log_name(run_id: str, persona: str, provider: str, workflow: Any) -> str:
    """`{created_at}_{persona}_{provider}[_{workflow}]_{id6}.jsonl`."""
    parts = [
        datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        safe_name(persona, default="persona"),
        safe_name(provider, default="provider"),
    ]
    if isinstance(workflow, str):
        parts.append(safe_name(workflow, default="workflow"))
    parts.append(run_id[:6])
    return "_".join(parts) + ".jsonl"


def make_header(
    *,
    run_id: str,
    created_at: datetime,
    parent: ContinueFrom | None,
    attempt: AttemptSpec | None,
    seed: ResumeState | None,
    state: ConversationState,
    persona: str,
    provider: dict[str, Any],
    scenario: dict[str, Any],
) -> Header:
    """The header of a conversation; `provider` and `scenario` must be free of secrets."""
    change: dict[str, Any] | None = None
    parents = [seed.parent] if seed else []
    if parent is not None:
        change = {"kind": parent.kind, **_next_address(state, seed)}
    elif attempt is not None:
        change = {"kind": REFLEXION, "attempt": attempt.number}
        parents = [ParentRef.model_validate(attempt.parent)]
    return Header(
        id=run_id,
        created_at=created_at.isoformat(),
        origin=_origin(parent),
        parents=parents,
        change=change,
        persona=persona,
        provider=provider,
        scenario=scenario,
        environment={
            "convtui": __version__,
            "python": platform.python_version(),
            "platform": sys.platform,
        },
    )


def _origin(parent: ContinueFrom | None) -> Literal["run", "continue", "compress"]:
    if parent is None:
        return "run"
    return "compress" if parent.kind == "compress" else "continue"


def _next_address(state: ConversationState, seed: ResumeState | None) -> dict[str, int]:
    """The address of the first turn that this log can add: `{session, turn}`."""
    session = state.current
    ended = seed.ended_sessions if seed is not None else set()
    if session is None or session.index in ended:
        return {"session": max(ended, default=0) + 1, "turn": 1}
    return {"session": session.index, "turn": session.numbers + 1}


def write_header(journal: Journal, header: Header) -> str | None:
    """Writes the header with its seal; returns why there is no seal, None when there is one."""
    problem: str | None = None
    try:
        # The seal covers the header as it is written, without secrets.
        seal = make_seal(journal.clean(header.payload()))
        header = header.model_copy(update={"seal": seal})
    except FileError as error:
        problem = f"going on with this log will ask what it may run: {error}"
    journal.emit(header)
    return problem
