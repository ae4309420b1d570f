"""Going on with a conversation: what a log says about where it stood.

Resume, engine restart, reload, rewind and fork are one operation: read the parent log up to a
record, take what was committed by value, and begin a child log with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.engine.core.pending import Pending
from convtui.engine.core.reflections import Reflection
from convtui.engine.core.state import ConversationState
from convtui.engine.resume.fold import LIMITS, STOPPED, ResumeFold, pending_data
from convtui.errors import LogError, UsageError
from convtui.log.reader import LogReader, digest_until
from convtui.protocol import ContinueFrom
from convtui.providers.base import HistoryTurn, RestoreState, SignalMatch
from convtui.records.models import EXIT_CODES, HistorySeeded, ParentRef, Speaker
from convtui.records.values import as_object
from convtui.transcript.clock import Elapsed, elapsed
from convtui.transcript.fold import Transcript
from convtui.transcript.past import past_of
from convtui.warm.templates import WarmContext

_LOSSES = frozenset({"bad_json", "huge_line", "no_type", "seq_gap"})
"""Findings that mean that a record is missing."""


@dataclass(slots=True)
class ResumeState:
    """The state of a conversation at a record of its log."""

    parent: ParentRef
    header: dict[str, Any]
    """The header of the parent log."""
    scenario: dict[str, Any]
    prepared: list[str]
    current: int
    """The session that goes on, from 1; 0 if none was entered yet."""
    first_speakers: dict[int, Speaker]
    turns: list[dict[str, Any]]
    numbers: dict[int, int]
    """The highest turn number by session."""
    ended: list[dict[str, Any]] = field(default_factory=list)
    retries: int = 0
    skips: int = 0
    skipped: Speaker | None = None
    pending: Pending | None = None
    unsettled: dict[str, Any] | None = None
    """The last thing that was said or dropped, while what ends a session was not looked at yet:
    `{kind: commit|discard|user, ...}`."""
    speaks_next: Speaker | None = None
    """The next speaker, where the last committed turn does not determine it."""
    was_reset: set[int] = field(default_factory=set)
    """Sessions for which `finish_and_reset_session()` was already called."""
    reopened: str | None = None
    """The kind of the ending that was undone because the session can go on."""
    metadata: dict[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None
    inherited: dict[str, Any] = field(default_factory=dict)
    """Tokens and cost used before, by side."""
    restored_by: str | None = None
    """How the provider was brought to an earlier point of the conversation: a mode of
    `ProviderRestored`."""
    taken_over: list[str] = field(default_factory=list)
    approve_tools: bool | list[str] | None = None
    """The tool calls that need approval, where that was changed by hand."""
    budget: list[dict[str, Any]] = field(default_factory=list)
    """Limits that were raised by hand: `{scope, what, limit}`."""
    compressed: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Summaries sent to the provider in place of earlier turns, by session: `{summary, upto}`."""
    responder: dict[str, Any] | None = None
    """The responder's own session, as its `restore()` takes it."""
    warm: WarmContext | None = None
    """The warm start of every session."""
    reflections: tuple[Reflection, ...] = ()
    """What earlier attempts at the conversation have taught."""
    past: dict[str, Any] = field(default_factory=dict)
    """What the log says of its turns beside their texts; see `transcript.past`."""
    clock: Elapsed = field(default_factory=Elapsed)
    """How long it had been running."""
    not_restored: str = ""
    """What of an imported conversation the sides are not given; empty for one of ours."""
    damage: list[str] = field(default_factory=list)
    """Unreadable lines of the parent log, which are left out."""

    @property
    def ended_sessions(self) -> set[int]:
        """The numbers of the sessions that ended in the parent log."""
        return {int(item["session"]) for item in self.ended}

    def record(self, state: ConversationState) -> HistorySeeded:
        """The second record of the child log."""
        return HistorySeeded(
            turns=self.turns,
            sessions=self.prepared,
            current=self.current,
            counters={
                "numbers": {str(k): v for k, v in self.numbers.items()},
                "first_speakers": {str(k): v for k, v in self.first_speakers.items()},
                "retries": self.retries,
                "skips": self.skips,
                **({"skipped": self.skipped} if self.skipped else {}),
                "usage": self.inherited,
                "metadata": self.metadata,
                "conversation_id": self.conversation_id,
                **({"unsettled": self.unsettled} if self.unsettled else {}),
                **({"speaks_next": self.speaks_next} if self.speaks_next else {}),
                **({"pending": pending_data(self.pending)} if self.pending else {}),
                **({"taken_over": self.taken_over} if self.taken_over else {}),
                **({"approve_tools": self.approve_tools} if self.approve_tools is not None else {}),
                **({"budget": self.budget} if self.budget else {}),
                **(
                    {"compressed": {str(k): v for k, v in self.compressed.items()}}
                    if self.compressed
                    else {}
                ),
                **({"responder": _without_messages(self.responder)} if self.responder else {}),
            },
            messages={
                **state.message_lists(),
                **({"responder": self.responder["messages"]} if self.responder else {}),
            },
            ended=self.ended,
            past=self.past,
            clock=self.clock.as_dict(),
        )

    def fill(self, state: ConversationState) -> None:
        """Fills a fresh state with the history."""
        state.reflections = self.reflections or state.reflections
        state.prepared = list(self.prepared)
        for item in self.turns:
            index = int(item["session"])
            if index not in state.sessions:
                self._open(state, index)
            session = state.sessions[index]
            state.commit(session, as_history(item))
            session.numbers = max(session.numbers, int(item["turn"]))
            summary = self.compressed.get(index)
            if summary is not None and int(summary["upto"]) == int(item["turn"]):
                state.compress(session, str(summary["summary"]))
        if self.current:
            if self.current not in state.sessions:
                self._open(state, self.current)
            state.current = session = state.sessions[self.current]
            session.retries, session.skips = self.retries, self.skips
            session.skipped = self.skipped
        for index, number in self.numbers.items():
            if index in state.sessions:
                state.sessions[index].numbers = max(state.sessions[index].numbers, number)
        if self.pending is not None and state.current is not None:
            state.current.numbers = self.pending.number - 1

    @property
    def said_something(self) -> bool:
        """Whether either side may have been asked already."""
        return bool(self.turns) or any(self.numbers.values())

    @property
    def started(self) -> bool:
        """Whether the turn loop of the current session had started."""
        return self.current in self.first_speakers

    @property
    def matches(self) -> list[SignalMatch]:
        """The signals of the unsettled turn."""
        matches = (self.unsettled or {}).get("matches", ())
        return [SignalMatch.of(match) for match in matches]

    def _open(self, state: ConversationState, index: int) -> None:
        name = self.prepared[index - 1] if index <= len(self.prepared) else "default"
        speaker = self.first_speakers.get(index, state.scenario.first_speaker)
        state.open_session(index, name, speaker)

    def restore_state(self, session: int) -> RestoreState:
        """The argument of a provider's `restore()` before `session` goes on."""
        histories: dict[int, list[HistoryTurn]] = {}
        for item in self.turns:
            histories.setdefault(int(item["session"]), []).append(as_history(item))
        return RestoreState(
            sessions=list(self.prepared),
            session=session,
            histories=histories,
            metadata=dict(self.metadata),
            conversation_id=self.conversation_id,
            warm=[dict(message) for message in self.warm.messages] if self.warm else [],
        )


def _without_messages(memory: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in memory.items() if name != "messages"}


def as_history(item: dict[str, Any]) -> HistoryTurn:
    """A seeded turn as history."""
    return HistoryTurn(
        int(item["session"]),
        int(item["turn"]),
        item["speaker"],
        item["text"],
        tuple(item.get("messages", ())),
        item.get("metadata", {}),
        item.get("reply"),
    )


def read_seed(parent: ContinueFrom) -> ResumeState:
    """Reads a parent log up to the record from which it is gone on with.

    Raises `LogError` for a log that cannot be opened, and `UsageError` for a conversation that is
    over and has nothing to go on with.
    """
    path = Path(parent.log)
    fold = ResumeFold()
    with LogReader(path) as reader:
        reader.advance()
        last = len(reader.transcript.offsets) - 1
        # The reader's own fold reads on to the end of the log.
        past = reader.transcript if parent.seq is None else Transcript()
        for ordinal, record in enumerate(reader.read_range(0, last)):
            if parent.seq is not None and record["seq"] > parent.seq:
                break
            try:
                if ordinal in reader.incomplete:
                    raise ValueError("a field that it must have is missing or damaged")
                fold.take(record)
                if past is not reader.transcript:
                    past.apply(record)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise LogError(
                    f"{path}: record {record.get('seq')} ({record.get('type')}) is damaged; this"
                    " conversation cannot be gone on with past it"
                ) from error
        # Lines count from 1, records from 0; a damaged line is one that was written, too.
        damage = [
            f"line {finding.line} of the log that is gone on with is damaged ({finding.code});"
            " what it said is left out"
            for finding in reader.findings
            if finding.code in _LOSSES and finding.line <= fold.last_seq + 1
        ]
    # Another tool has ended it: that is no ending of ours, and there is nothing to resume but it.
    imported = fold.header.get("origin") == "import"
    any_ending = imported or parent.kind in ("go_on", "compress")
    reopened = _reopen(fold, path, any_ending=any_ending)
    sha256, _ = digest_until(path, fold.last_seq)
    header = fold.header
    # Where the stage is known at which it stood, the gate holds there.
    hold_at_once = parent.held and parent.stage is None
    pending = fold.pending(str(header.get("id", "")), hold_at_once)
    if not parent.reuse_reply:
        pending = None
    interrupted_turn = fold.open
    if pending is not None:
        fold.numbers[fold.current] = pending.number - 1
    elif interrupted_turn is not None:
        # The turn was never said; its number is given out again.
        session = int(interrupted_turn.get("session", 1))
        fold.numbers[session] = int(interrupted_turn["turn"]) - 1
    return ResumeState(
        parent=ParentRef(
            id=str(header.get("id", "")),
            file=str(path.resolve()),
            seq=fold.last_seq,
            sha256=sha256,
        ),
        header=header,
        scenario=dict(header.get("scenario", {})),
        prepared=fold.prepared,
        current=fold.current,
        first_speakers=fold.first,
        turns=fold.turns,
        numbers=fold.numbers,
        ended=fold.ended,
        retries=fold.retries,
        skips=fold.skips,
        skipped=fold.skipped,
        pending=pending,
        unsettled=fold.unsettled,
        speaks_next=fold.speaks_next,
        was_reset=fold.was_reset,
        reopened=reopened,
        metadata=fold.metadata,
        conversation_id=fold.metadata.get("conversation_id"),
        inherited=fold.usage,
        restored_by=parent.restored_by or fold.restored_by,
        taken_over=sorted(fold.taken_over),
        approve_tools=fold.approve_tools,
        budget=fold.budget,
        compressed=fold.compressed,
        responder=fold.responder.as_data(),
        warm=fold.warm,
        reflections=tuple(fold.reflections),
        past=past_of(
            past,
            in_progress=_in_progress(fold, pending),
            reopened=fold.current if reopened is not None else None,
        ),
        clock=elapsed(past) if parent.clock is None else Elapsed(**parent.clock),
        damage=damage,
        not_restored=_not_restored(header) if imported else "",
    )


def _not_restored(header: dict[str, Any]) -> str:
    """What there was where a conversation was imported from, and is not here."""
    origin = as_object(header.get("imported")).get("format") or "another tool"
    return (
        f"this conversation was held elsewhere ({origin}): both sides get what was said; the"
        " instructions, tools and files that there were do not come with it"
    )


def _in_progress(fold: ResumeFold, pending: Pending | None) -> tuple[int, int] | None:
    """The turn that is asked for again."""
    if pending is not None:
        return fold.current, pending.number
    return (int(fold.open.get("session", 1)), int(fold.open["turn"])) if fold.open else None


def _reopen(fold: ResumeFold, path: Path, *, any_ending: bool) -> str | None:
    """Reopens the last session if its ending allows that; returns the kind of the ending."""
    if fold.in_session or not fold.ended:
        return None
    last = fold.ended[-1]
    kind = str((last.get("termination") or {}).get("kind"))
    whole = fold.termination or {}
    more = len(fold.prepared) > int(last["session"])
    # A limit ends a session, and the next one is held; only where it ended all is it taken back.
    ended_all = not more or whole.get("kind") == kind
    if any_ending or kind in STOPPED or (kind in LIMITS and ended_all):
        if kind not in STOPPED | LIMITS:
            fold.unsettled = None
        fold.ended.pop()
        fold.responder = fold.closed_responder or fold.responder
        fold.current = int(last["session"])
        fold.in_session = True
        return kind
    if not more:
        over = whole or last.get("termination") or {}
        raise UsageError(
            f"{path}: this conversation is over ({over.get('kind')}: {over.get('reason')}); there"
            " is nothing to resume"
        )
    return None


def bad_ending(termination: dict[str, Any] | None) -> bool:
    """Whether an ending makes the whole run fail."""
    return bool(termination) and EXIT_CODES.get(str((termination or {}).get("kind")), 3) != 0
