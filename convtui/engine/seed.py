"""Going on with a conversation: what a log says about where it stood.

Resume, engine restart, reload, rewind and fork are one operation: read the parent log up to a
record, take what was committed by value, and begin a child log with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.engine.state import ConversationState
from convtui.engine.table import Pending
from convtui.errors import UsageError
from convtui.events import (
    EXIT_CODES,
    HistorySeeded,
    ParentRef,
    RecordDict,
    Speaker,
)
from convtui.log.reader import LogReader, digest_until
from convtui.models.base import Message, Reply
from convtui.protocol import ContinueFrom
from convtui.providers.base import HistoryTurn, RestoreState, SignalMatch
from convtui.scenario import Scenario

_GO_ON_KINDS = frozenset({"max_turns", "word_limit", "budget", "interrupted", "failed"})
"""Endings after which the last session can be gone on with as it is."""


@dataclass(slots=True)
class Seed:
    """Where a conversation stood at a record of its log."""

    parent: ParentRef
    scenario: dict[str, Any]
    provider: dict[str, Any]
    prepared: list[str]
    current: int
    """The session that goes on, from 1; 0 when none was entered yet."""
    first_speakers: dict[int, Speaker]
    turns: list[dict[str, Any]]
    numbers: dict[int, int]
    """Highest turn number given out, by session."""
    ended: list[dict[str, Any]] = field(default_factory=list)
    retries: int = 0
    skips: int = 0
    pending: Pending | None = None
    after_turn: bool = False
    """Whether the last turn was committed but what ends a session was not looked at yet."""
    matches: list[SignalMatch] = field(default_factory=list)
    """The signals of that turn."""
    reopened: str | None = None
    """The kind of the ending that was taken back because the session can go on after it."""
    metadata: dict[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None
    inherited: dict[str, Any] = field(default_factory=dict)
    taken_over: list[str] = field(default_factory=list)

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
                "usage": self.inherited,
                "metadata": self.metadata,
                "conversation_id": self.conversation_id,
            },
            messages=state.message_lists(),
            ended=self.ended,
        )

    def fill(self, state: ConversationState) -> None:
        """Puts the history into a fresh state."""
        state.prepared = list(self.prepared)
        for item in self.turns:
            index = int(item["session"])
            if index not in state.sessions:
                self._open(state, index)
            session = state.sessions[index]
            state.commit(session, as_history(item))
            session.numbers = max(session.numbers, int(item["turn"]))
        if self.current:
            if self.current not in state.sessions:
                self._open(state, self.current)
            state.current = session = state.sessions[self.current]
            session.retries, session.skips = self.retries, self.skips
        for index, number in self.numbers.items():
            if index in state.sessions:
                state.sessions[index].numbers = max(state.sessions[index].numbers, number)
        if self.pending is not None and state.current is not None:
            state.current.numbers = self.pending.number - 1

    def _open(self, state: ConversationState, index: int) -> None:
        name = self.prepared[index - 1] if index <= len(self.prepared) else "default"
        speaker = self.first_speakers.get(index, state.scenario.first_speaker)
        state.open_session(index, name, speaker)

    def restore_state(self) -> RestoreState:
        """What a provider's `restore()` is given."""
        histories: dict[int, list[HistoryTurn]] = {}
        for item in self.turns:
            histories.setdefault(int(item["session"]), []).append(as_history(item))
        return RestoreState(
            sessions=list(self.prepared),
            session=self.current,
            histories=histories,
            metadata=dict(self.metadata),
            conversation_id=self.conversation_id,
        )


def as_history(item: dict[str, Any]) -> HistoryTurn:
    """A seeded turn as history."""
    return HistoryTurn(
        int(item["session"]),
        int(item["turn"]),
        item["speaker"],
        item["text"],
        tuple(item.get("messages", ())),
        item.get("metadata", {}),
    )


class _Collector:
    """Folds a log's records into a seed, by value."""

    def __init__(self) -> None:
        self.header: RecordDict = {}
        self.prepared: list[str] = []
        self.current = 0
        self.in_session = False
        self.first: dict[int, Speaker] = {}
        self.turns: list[dict[str, Any]] = []
        self.numbers: dict[int, int] = {}
        self.ended: list[dict[str, Any]] = []
        self.retries = 0
        self.skips = 0
        self.open: RecordDict | None = None
        self.reply: RecordDict | None = None
        self.edited_raw: str | None = None
        self.after_turn = False
        self.metadata: dict[str, Any] = {}
        self.usage: dict[str, dict[str, Any]] = {}
        self.tools: list[Message] = []
        self.matches: list[dict[str, Any]] = []
        self.last_seq = -1
        self.termination: RecordDict | None = None
        self.taken_over: set[str] = set()

    def take(self, record: RecordDict) -> None:
        """Takes in the next record."""
        self.last_seq = int(record.get("seq", self.last_seq + 1))
        kind = str(record.get("type")).replace(".", "_")
        handler = getattr(self, f"on_{kind}", None)
        if handler is not None:
            handler(record)

    def on_header(self, record: RecordDict) -> None:
        self.header = record

    def on_history_seeded(self, record: RecordDict) -> None:
        counters = record.get("counters", {})
        self.turns = list(record["turns"])
        self.prepared = list(record["sessions"])
        self.current = int(record["current"])
        self.ended = list(record.get("ended", []))
        self.numbers = {int(k): int(v) for k, v in counters.get("numbers", {}).items()}
        self.first = {int(k): v for k, v in counters.get("first_speakers", {}).items()}
        self.retries = int(counters.get("retries", 0))
        self.skips = int(counters.get("skips", 0))
        self.metadata = dict(counters.get("metadata") or {})
        self.in_session = bool(self.current)

    def on_sessions_prepared(self, record: RecordDict) -> None:
        self.prepared = list(record["prepared"])

    def on_session_entered(self, record: RecordDict) -> None:
        if record.get("outcome", "ok") == "ok":
            self.current = int(record["session"])

    def on_session_started(self, record: RecordDict) -> None:
        self.current = int(record["session"])
        self.first[self.current] = record["first_speaker"]
        self.in_session = True
        self.ended = [item for item in self.ended if item["session"] != self.current]

    def on_session_ended(self, record: RecordDict) -> None:
        if record.get("skipped"):
            return
        self.in_session = False
        self.after_turn = False
        self._close_turn()
        self.ended.append(
            {
                "session": record["session"],
                "session_type": record.get("session_type", ""),
                "termination": record.get("termination"),
            }
        )

    def on_turn_started(self, record: RecordDict) -> None:
        self.open = record
        self.reply = None
        self.edited_raw = None
        self.after_turn = False
        self.tools = []
        self.matches = []
        session = int(record.get("session", 1))
        self.numbers[session] = max(self.numbers.get(session, 0), int(record["turn"]))

    def on_llm_response(self, record: RecordDict) -> None:
        usage = record.get("usage")
        if usage:
            side = self.usage.setdefault(str(record.get("side", "provider")), {})
            for name in ("prompt_tokens", "completion_tokens", "cost"):
                if usage.get(name) is not None:
                    side[name] = side.get(name, 0) + usage[name]
        calls = record.get("tool_calls")
        if calls:
            self.tools.append(
                {"role": "assistant", "content": record.get("raw") or None, "tool_calls": calls}
            )
            self.reply = None
        elif record.get("side") != "responder":
            self.reply = record
        self.edited_raw = None

    def on_tool_returned(self, record: RecordDict) -> None:
        import json

        body = record.get("result")
        self.tools.append(
            {
                "role": "tool",
                "tool_call_id": record.get("id"),
                "name": record.get("name"),
                "content": body if isinstance(body, str) else json.dumps(body),
            }
        )

    def on_signals_extracted(self, record: RecordDict) -> None:
        self.matches = list(record.get("matches", []))

    def on_debug_edited(self, record: RecordDict) -> None:
        if record.get("field") == "raw" and self.open is not None:
            self.edited_raw = record.get("after")

    def on_turn_committed(self, record: RecordDict) -> None:
        turn: dict[str, Any] = {
            "session": int(record.get("session", 1)),
            "turn": int(record["turn"]),
            "speaker": record["speaker"],
            "text": record["text"],
        }
        if self.tools:
            turn["messages"] = list(self.tools)
        for name in ("metadata", "human", "edited"):
            if record.get(name):
                turn[name] = record[name]
        if record["speaker"] == "provider" and record.get("metadata"):
            self.metadata = dict(record["metadata"])
        self.turns.append(turn)
        self.retries = self.skips = 0
        self.after_turn = True
        self._close_turn()

    def on_turn_discarded(self, record: RecordDict) -> None:
        if record.get("outcome") == "retry":
            self.retries += 1
        elif record.get("outcome") == "skip":
            self.skips += 1
            self.retries = 0
        self._close_turn()

    def on_turn_skipped(self, record: RecordDict) -> None:
        self._close_turn()

    def on_user_ended(self, record: RecordDict) -> None:
        self._close_turn()

    def on_debug_took_over(self, record: RecordDict) -> None:
        self.taken_over.add(str(record.get("side", "persona")))

    def on_debug_handed_back(self, record: RecordDict) -> None:
        self.taken_over.discard(str(record.get("side", "persona")))

    def on_conversation_ended(self, record: RecordDict) -> None:
        self.termination = record.get("termination")

    def _close_turn(self) -> None:
        self.open = None
        self.reply = None

    def pending(self, log: str, hold: bool) -> Pending | None:
        """The reply that was received but not committed."""
        if self.open is None or self.reply is None:
            return None
        record = self.reply
        raw = self.edited_raw if self.edited_raw is not None else record["raw"]
        return Pending(
            speaker=self.open["speaker"],
            number=int(self.open["turn"]),
            attempt=int(self.open.get("attempt") or 1) + 1,
            reply=Reply(
                text=raw,
                reasoning=record.get("reasoning") or "",
                finish_reason=record.get("finish_reason"),
                response_id=record.get("response_id"),
                model=record.get("model"),
                metadata=record.get("metadata") or {},
            ),
            source={"log": log, "seq": record.get("seq")},
            messages=tuple(self.tools),
            hold=hold,
        )


def read_seed(parent: ContinueFrom) -> Seed:
    """Reads a parent log up to the record from which it is gone on with.

    Raises `LogError` for a log that cannot be opened, and `UsageError` for a conversation that is
    over and has nothing to go on with.
    """
    path = Path(parent.log)
    collector = _Collector()
    with LogReader(path) as reader:
        reader.advance()
        last = len(reader.transcript.offsets) - 1
        for record in reader.read_range(0, last):
            if parent.seq is not None and int(record.get("seq", 0)) > parent.seq:
                break
            collector.take(record)
    reopened = _reopen(collector, path, explicit=parent.seq is not None)
    sha256, _ = digest_until(path, collector.last_seq)
    header = collector.header
    pending = collector.pending(str(header.get("id", "")), parent.held)
    if not parent.reuse_reply:
        pending = None
    interrupted_turn = collector.open
    if pending is None and interrupted_turn is not None:
        # The turn was never said; its number is given out again.
        session = int(interrupted_turn.get("session", 1))
        collector.numbers[session] = int(interrupted_turn["turn"]) - 1
    return Seed(
        parent=ParentRef(
            id=str(header.get("id", "")),
            file=str(path.resolve()),
            seq=collector.last_seq,
            sha256=sha256,
        ),
        scenario=dict(header.get("scenario", {})),
        provider=dict(header.get("provider", {})),
        prepared=collector.prepared,
        current=collector.current,
        first_speakers=collector.first,
        turns=collector.turns,
        numbers=collector.numbers,
        ended=collector.ended,
        retries=collector.retries,
        skips=collector.skips,
        pending=pending,
        after_turn=collector.after_turn,
        matches=[SignalMatch(**match) for match in collector.matches],
        reopened=reopened,
        metadata=collector.metadata,
        conversation_id=collector.metadata.get("conversation_id"),
        inherited=collector.usage,
        taken_over=sorted(collector.taken_over),
    )


def _reopen(collector: _Collector, path: Path, *, explicit: bool) -> str | None:
    """Opens the last session again where its ending allows that; returns the ending's kind."""
    if collector.in_session or not collector.ended:
        return None
    last = collector.ended[-1]
    kind = (last.get("termination") or {}).get("kind")
    more = len(collector.prepared) > int(last["session"])
    if kind in _GO_ON_KINDS:
        collector.ended.pop()
        collector.current = int(last["session"])
        collector.in_session = True
        collector.after_turn = bool(collector.turns)
        return str(kind)
    if not more and not explicit:
        over = collector.termination or last.get("termination") or {}
        raise UsageError(
            f"{path}: this conversation is over ({over.get('kind')}: {over.get('reason')}); there"
            " is nothing to resume"
        )
    return None


def bad_ending(termination: dict[str, Any] | None) -> bool:
    """Whether an ending makes the whole run fail."""
    return bool(termination) and EXIT_CODES.get(str((termination or {}).get("kind")), 3) != 0


def scenario_of(seed: Seed) -> Scenario:
    """The scenario that a parent log names."""
    return Scenario.from_public(seed.scenario)
