"""The names of the inspector's tabs, and what they need besides a turn's records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from convtui.log.detail import Call, TurnDetail
    from convtui.log.notes import TurnNote
    from convtui.records.codec import RecordDict
    from convtui.transcript.corrections import Correction
    from convtui.transcript.fold import Totals
    from convtui.tui.sources.budget import Limit

TABS: Final = ("Stages", "Raw", "Diff", "Request", "Wire", "Tools", "Output", "Usage", "Meta")
DECISION: Final = "Decision"
DECIDING: Final = (*TABS, DECISION)
"""The tabs of a conversation with a responder."""


@dataclass(slots=True)
class Context:
    """What the tabs need besides the records; callables are called when a tab is opened."""

    messages: Callable[[Call], list[Any]] | None = None
    """The exact messages of a call. May raise ValueError."""
    wire: list[dict[str, Any]] | None = None
    """HTTP exchanges; None if none were kept."""
    totals: Mapping[str, Totals] = field(default_factory=dict)
    log_file: str = ""
    conversation: str = ""
    hold: RecordDict | None = None
    """The current hold, if it is in this turn."""
    hooks: Mapping[str, str] = field(default_factory=dict)
    """Hook name to `yours` or `default`."""
    copy_keys: str = ""
    """A hint on the keys that copy a request."""
    simulator: str = ""
    """What speaks for the persona: scripted, llm, responder, demo, human."""
    deciding: bool = False
    """Whether a responder decides what the user says."""
    responder_detail: TurnDetail | None = None
    """The last turn, up to this one, in which the responder was called."""
    width: int = 0
    """The width in cells."""
    inherited: Mapping[str, Totals] = field(default_factory=dict)
    """What each side had used before this log."""
    limits: Sequence[Limit] = ()
    """The current budget."""
    lineage: Sequence[tuple[str, str, str]] = ()
    """The origin of the log, as (name, value, role)."""
    whole: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    """Full tool results by `seq`, as (problem, text)."""
    whole_key: str = ""
    """A hint on the key that shows results in full."""
    correction: Correction | None = None
    """Corrections by hand."""
    noted: TurnNote | None = None
    """Marks and notes."""
    drift: Mapping[str, Any] | None = None
    """The drift of its answer: `{what, recorded, replayed}`."""
    warm: Mapping[str, Any] | None = None
    """The `context.seeded` record of the log: the start of the provider's history."""
