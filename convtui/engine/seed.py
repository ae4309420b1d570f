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
from convtui.errors import LogError, UsageError
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

_STOPPED = frozenset({"budget", "interrupted", "failed"})
"""Endings that stop the whole conversation where it is; the session goes on from there."""
_LIMITS = frozenset({"max_turns", "word_limit"})
"""Endings that a higher limit takes back."""


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
    skipped: Speaker | None = None
    pending: Pending | None = None
    unsettled: dict[str, Any] | None = None
    """The last thing that was said or dropped, while what ends a session was not looked at yet:
    `{kind: commit|discard|user, ...}`."""
    speaks_next: Speaker | None = None
    """Who speaks next, where that does not follow from the last committed turn."""
    was_reset: set[int] = field(default_factory=set)
    """Sessions before which `finish_and_reset_session()` was called already."""
    reopened: str | None = None
    """The kind of the ending that was taken back because the session can go on after it."""
    metadata: dict[str, Any] = field(default_factory=dict)
    conversation_id: str | None = None
    inherited: dict[str, Any] = field(default_factory=dict)
    """Tokens and cost by side that were used before."""
    accepted_unrestored: bool = False
    """Whether it was accepted before that the provider is not brought back to where it stood."""
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
                **({"skipped": self.skipped} if self.skipped else {}),
                "usage": self.inherited,
                "metadata": self.metadata,
                "conversation_id": self.conversation_id,
                **({"unsettled": self.unsettled} if self.unsettled else {}),
                **({"speaks_next": self.speaks_next} if self.speaks_next else {}),
                **({"pending": _as_data(self.pending)} if self.pending else {}),
                **({"taken_over": self.taken_over} if self.taken_over else {}),
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
            session.skipped = self.skipped
        for index, number in self.numbers.items():
            if index in state.sessions:
                state.sessions[index].numbers = max(state.sessions[index].numbers, number)
        if self.pending is not None and state.current is not None:
            state.current.numbers = self.pending.number - 1

    @property
    def started(self) -> bool:
        """Whether the turn loop of the session that goes on had begun."""
        return self.current in self.first_speakers

    @property
    def matches(self) -> list[SignalMatch]:
        """The signals of the turn that is unsettled."""
        found = (self.unsettled or {}).get("matches", ())
        names = ("signal", "matched", "start", "end")
        return [SignalMatch(*(match[name] for name in names)) for match in found]

    def _open(self, state: ConversationState, index: int) -> None:
        name = self.prepared[index - 1] if index <= len(self.prepared) else "default"
        speaker = self.first_speakers.get(index, state.scenario.first_speaker)
        state.open_session(index, name, speaker)

    def restore_state(self, session: int) -> RestoreState:
        """What a provider's `restore()` is given before `session` goes on."""
        histories: dict[int, list[HistoryTurn]] = {}
        for item in self.turns:
            histories.setdefault(int(item["session"]), []).append(as_history(item))
        return RestoreState(
            sessions=list(self.prepared),
            session=session,
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
        self.skipped: Speaker | None = None
        self.open: RecordDict | None = None
        self.reply: RecordDict | None = None
        self.edited_raw: str | None = None
        self.unsettled: dict[str, Any] | None = None
        self.speaks_next: Speaker | None = None
        self.was_reset: set[int] = set()
        self.waiting: dict[str, Any] | None = None
        self.metadata: dict[str, Any] = {}
        self.usage: dict[str, dict[str, Any]] = {}
        self.unrestored = False
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
        self.skipped = counters.get("skipped")
        self.metadata = dict(counters.get("metadata") or {})
        self.usage = {side: dict(used) for side, used in counters.get("usage", {}).items()}
        self.unsettled = counters.get("unsettled")
        self.speaks_next = counters.get("speaks_next")
        self.waiting = counters.get("pending")
        self.taken_over = set(counters.get("taken_over", ()))
        self.in_session = bool(self.current) and self.current in self.first

    def on_sessions_prepared(self, record: RecordDict) -> None:
        self.prepared = list(record["prepared"])

    def on_session_entered(self, record: RecordDict) -> None:
        if record.get("outcome", "ok") == "ok":
            self.current = int(record["session"])

    def on_session_started(self, record: RecordDict) -> None:
        self.current = int(record["session"])
        self.first[self.current] = record["first_speaker"]
        self.in_session = True
        if not record.get("continued"):
            self.retries = self.skips = 0
            self.skipped = None
            self.unsettled = self.speaks_next = self.waiting = None
        self.ended = [item for item in self.ended if item["session"] != self.current]

    def on_session_ended(self, record: RecordDict) -> None:
        if record.get("skipped"):
            return
        self.in_session = False
        kind = (record.get("termination") or {}).get("kind")
        if kind not in _STOPPED | _LIMITS:
            self.unsettled = None
        if kind not in _STOPPED:
            self._close_turn()
        self.ended.append(
            {
                "session": record["session"],
                "session_type": record.get("session_type", ""),
                "termination": record.get("termination"),
            }
        )

    def on_session_reset(self, record: RecordDict) -> None:
        if record.get("outcome", "ok") == "ok":
            self.was_reset.add(int(record["session"]) + 1)

    def on_turn_started(self, record: RecordDict) -> None:
        self.open = record
        self.reply = None
        self.edited_raw = None
        self.unsettled = None
        self.tools = []
        self.matches = []
        session = int(record.get("session", 1))
        self.numbers[session] = max(self.numbers.get(session, 0), int(record["turn"]))

    def on_llm_request(self, record: RecordDict) -> None:
        if record.get("side") != "responder":
            self.waiting = None

    def on_provider_restored(self, record: RecordDict) -> None:
        self.unrestored = record.get("mode") == "unrestored"

    def on_llm_response(self, record: RecordDict) -> None:
        if record.get("reused") and self.waiting is not None:
            self.tools = list(self.waiting.get("messages", ()))
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
            self.waiting = None
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
        self.retries = 0
        if record["speaker"] == self.skipped:
            self.skips, self.skipped = 0, None
        self.speaks_next = None
        self.unsettled = {"kind": "commit", "matches": self.matches}
        self._close_turn()

    def on_turn_discarded(self, record: RecordDict) -> None:
        speaker: Speaker = record["speaker"]
        self.speaks_next = _other(speaker)
        if record.get("outcome") == "retry":
            self.retries += 1
            self.speaks_next = speaker
        elif record.get("outcome") == "skip":
            self.skips += 1
            self.skipped = speaker
            self.retries = 0
        else:
            self.unsettled = {
                "kind": "discard",
                "speaker": speaker,
                "turn": int(record["turn"]),
                "matches": list(record.get("signals", [])),
            }
        self._close_turn()

    def on_turn_skipped(self, record: RecordDict) -> None:
        if self.open is not None:
            self.speaks_next = _other(self.open["speaker"])
        self._close_turn()

    def on_user_ended(self, record: RecordDict) -> None:
        committed = self.unsettled is not None
        self.unsettled = {
            "kind": "user",
            "turn": int(record.get("turn") or 0),
            "reason": str(record.get("reason", "")),
            "sentinel": record.get("sentinel"),
        }
        # With its last words said the other side goes on, if this is no ending after all.
        self.speaks_next = "provider" if committed else "persona"
        self._close_turn()

    def on_debug_overrode(self, record: RecordDict) -> None:
        if record.get("what") == "ending":
            self.unsettled = None

    def on_debug_took_over(self, record: RecordDict) -> None:
        self.taken_over.add(str(record.get("side", "persona")))

    def on_debug_handed_back(self, record: RecordDict) -> None:
        self.taken_over.discard(str(record.get("side", "persona")))

    def on_conversation_ended(self, record: RecordDict) -> None:
        self.termination = record.get("termination")

    def _close_turn(self) -> None:
        self.open = None
        self.reply = None
        self.waiting = None

    def pending(self, log: str, hold: bool) -> Pending | None:
        """The reply that was received but not committed."""
        if self.waiting is not None:
            return _pending(self.waiting, hold)
        if self.open is None or self.reply is None:
            return None
        record = self.reply
        raw = self.edited_raw if self.edited_raw is not None else record["raw"]
        return Pending(
            speaker=self.open["speaker"],
            number=int(self.open["turn"]),
            attempt=int(self.open.get("attempt") or 1) + 1,
            reply=_reply({**record, "raw": raw}),
            source={"log": log, "seq": record.get("seq")},
            messages=tuple(self.tools),
            hold=hold,
        )


_REPLY = ("reasoning", "finish_reason", "response_id", "model", "metadata")


def _other(speaker: Speaker) -> Speaker:
    return "provider" if speaker == "persona" else "persona"


def _reply(record: RecordDict) -> Reply:
    known = {name: record[name] for name in _REPLY if record.get(name)}
    return Reply(text=record["raw"], **known)


def _as_data(pending: Pending) -> dict[str, Any]:
    """A reply that waits, for `history.seeded`: a child that dies at once must not lose it."""
    reply = pending.reply
    return {
        "speaker": pending.speaker,
        "turn": pending.number,
        "attempt": pending.attempt,
        "source": pending.source,
        "messages": list(pending.messages),
        "raw": reply.text,
        **{name: getattr(reply, name) for name in _REPLY if getattr(reply, name)},
    }


def _pending(data: dict[str, Any], hold: bool) -> Pending:
    return Pending(
        speaker=data["speaker"],
        number=int(data["turn"]),
        attempt=int(data["attempt"]),
        reply=_reply(data),
        source=dict(data["source"]),
        messages=tuple(data.get("messages", ())),
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
            try:
                collector.take(record)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise LogError(
                    f"{path}: record {record.get('seq')} ({record.get('type')}) is damaged; this"
                    " conversation cannot be gone on with past it"
                ) from error
    reopened = _reopen(collector, path, any_ending=parent.kind == "go_on")
    sha256, _ = digest_until(path, collector.last_seq)
    header = collector.header
    pending = collector.pending(str(header.get("id", "")), parent.held)
    if not parent.reuse_reply:
        pending = None
    interrupted_turn = collector.open
    if pending is not None:
        collector.numbers[collector.current] = pending.number - 1
    elif interrupted_turn is not None:
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
        skipped=collector.skipped,
        pending=pending,
        unsettled=collector.unsettled,
        speaks_next=collector.speaks_next,
        was_reset=collector.was_reset,
        reopened=reopened,
        metadata=collector.metadata,
        conversation_id=collector.metadata.get("conversation_id"),
        inherited=collector.usage,
        accepted_unrestored=collector.unrestored,
        taken_over=sorted(collector.taken_over),
    )


def _reopen(collector: _Collector, path: Path, *, any_ending: bool) -> str | None:
    """Opens the last session again where its ending allows that; returns the ending's kind."""
    if collector.in_session or not collector.ended:
        return None
    last = collector.ended[-1]
    kind = str((last.get("termination") or {}).get("kind"))
    whole = collector.termination or {}
    more = len(collector.prepared) > int(last["session"])
    # A limit ends a session, and the next one is held; only where it ended all is it taken back.
    ended_all = not more or whole.get("kind") == kind
    if any_ending or kind in _STOPPED or (kind in _LIMITS and ended_all):
        if kind not in _STOPPED | _LIMITS:
            collector.unsettled = None
        collector.ended.pop()
        collector.current = int(last["session"])
        collector.in_session = True
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


def scenario_of(seed: Seed) -> Scenario:
    """The scenario that a parent log names."""
    return Scenario.from_public(seed.scenario)
