"""The fold: what a log says, as a screen, a printer or a report needs it.

`Transcript.apply()` takes in one record at a time, forward only, in constant time. It keeps the
shown text of every turn and a fixed-size summary; raw replies, requests, tool results and the like
stay in the file and are read by offset when somebody looks at a turn (`log.detail`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import defaultdict
from typing import Any, Final

from convtui.records.codec import STAGES, RecordDict
from convtui.records.interim import Interim, interim_in
from convtui.records.values import as_text
from convtui.records.views import View, view_of
from convtui.scenario.simulators.registry import HUMAN
from convtui.text_checks.incomplete import finish_means
from convtui.transcript.clock import Clock
from convtui.transcript.corrections import CORRECTABLE
from convtui.transcript.past import Past, carry_over, fill_summary, is_about, totals_from
from convtui.transcript.turns import (
    COMMITTED,
    ENDED,
    FAILED,
    GONE,
    INACTIVE,
    INTERESTING,
    OPEN,
    Flag,
    Session,
    Totals,
    Turn,
    add_usage,
)
from convtui.transcript.usage import usage_in

__all__ = [
    "COMMITTED",
    "ENDED",
    "FAILED",
    "GONE",
    "INACTIVE",
    "INTERESTING",
    "OPEN",
    "Flag",
    "Session",
    "Totals",
    "Transcript",
    "Turn",
]

# Plain numbers where every turn passes: operators of an IntFlag are fifty times as slow.
_SEEDED, _SIGNAL, _CHANGED = int(Flag.SEEDED), int(Flag.SIGNAL), int(Flag.CHANGED)
_HUMAN: Final = int(Flag.HUMAN)
_INTERIM: Final = int(Flag.INTERIM)
_EDITED, _EMPTY, _TRUNCATED = int(Flag.EDITED), int(Flag.EMPTY), int(Flag.TRUNCATED)
_ERROR_TEXT: Final = int(Flag.ERROR_TEXT)
_NOTICED: Final = {name: int(flag) for name, flag in CORRECTABLE.items()}
_ALL_NOTICED: Final = sum(_NOTICED.values())

_OF_ATTEMPT: Final = int(
    Flag.CANCELLED | Flag.ERROR | Flag.INTERIM | Flag.INCOMPLETE | Flag.ERROR_TEXT
)

HOOK_RECORDS: Final = frozenset(
    {
        "provider.setup",
        "sessions.prepared",
        "session.entered",
        "session.reset",
        "provider.cleanup",
        "user.cleanup",
        "user.closed",
        "provider.restored",
    }
)
"""The records of hooks outside of turns."""
_LIFECYCLE = {
    *HOOK_RECORDS,
    "provider.reload_failed",
    "context.seeded",
    "context.compressed",
    "reflection.added",
    "budget.crossed",
    "budget.raised",
    "debug.took_over",
    "debug.handed_back",
}


class Transcript:
    """A conversation folded from its records."""

    def __init__(self) -> None:
        self.header: RecordDict = {}
        self.seed: dict[str, Any] = {}
        """Counters, sessions and sizes of `history.seeded`, without its texts."""
        self.sessions: list[Session] = []
        self.prepared: list[str] = []
        self.warm: RecordDict | None = None
        """The `context.seeded`: what the provider's history begins with in every session."""
        self.reflections: list[RecordDict] = []
        """The `reflection.added`: what earlier attempts have taught the provider."""
        self.turns: list[Turn] = []
        self.lifecycle: list[RecordDict] = []
        self.warnings: list[RecordDict] = []
        self.outputs = 0
        self.totals: dict[str, Totals] = {}
        self.hold: RecordDict | None = None
        self.taken_over: set[str] = set()
        self.termination: RecordDict | None = None
        self.trailer: RecordDict | None = None
        self.records = 0
        self.last_t = 0.0
        self.clock = Clock()
        self.offsets: array[int] = array("Q")
        """Byte offset of every record's line."""
        self.counts: defaultdict[str, int] = defaultdict(int)
        """Records by type."""
        self.latest: Turn | None = None
        """The turn that the last records were about; None between sessions."""
        self.ended_turns: set[int] = set()
        """Indexes of turns that the end of a session has changed, which `apply()` does not return;
        whoever wants to know clears the set."""
        self.inherited: dict[str, Totals] = {}
        """What each side used before this log began."""
        self.past_known = True
        """Whether the log says which turns its parents dropped or skipped."""
        self.asked_before: RecordDict | None = None
        """What the parent log says of the turn that was in progress there, until it begins."""
        self.decided_before = False
        """Whether a responder decided something before this log began."""
        self.left: tuple[int, int, tuple[Interim, ...]] | None = None
        """What the turn in progress had said beside tool calls when the log was gone on with."""

    # --- look-ups

    @property
    def id(self) -> str:
        return str(self.header.get("id", ""))

    @property
    def complete(self) -> bool:
        """Whether the log was closed properly."""
        return self.trailer is not None

    def session(self, index: int) -> Session | None:
        """The session with this number, from 1."""
        if 0 < index <= len(self.sessions) and self.sessions[index - 1].index == index:
            return self.sessions[index - 1]
        return next((s for s in self.sessions if s.index == index), None)

    def find(self, session: int, number: int) -> Turn | None:
        """The turn at `session:number`."""
        holder = self.session(session)
        if holder is None or not holder.turns:
            return None
        last = self.turns[holder.turns[-1]]
        if last.number <= number:
            return last if last.number == number else None
        position = bisect_left(holder.turns, number, key=lambda index: self.turns[index].number)
        if position < len(holder.turns):
            turn = self.turns[holder.turns[position]]
            if turn.number == number:
                return turn
        return None

    @property
    def current(self) -> Turn | None:
        return self.latest if self.latest is not None and self.latest.status == OPEN else None

    # --- records

    def apply(self, record: RecordDict, offset: int = 0) -> Turn | None:
        """Takes in the next record, which stands at `offset`; returns the turn it changed."""
        kind = record.get("type")
        kind = kind if kind.__class__ is str else None
        return self.take(kind, view_of(record, kind or ""), offset, record)

    def take(
        self, kind: str | None, view: View, offset: int, record: RecordDict | None = None
    ) -> Turn | None:
        """`apply()`, for a record of which there is a view already.

        `record` itself is needed of all types that are not frequent.
        """
        ordinal = self.records
        self.records = ordinal + 1
        self.offsets.append(offset)
        t = view.t
        if t is not None:
            self.last_t = t
        if kind is None:
            return None
        self.counts[kind] += 1
        number = view.turn
        turn: Turn | None = None
        if number is not None:
            turn = self.latest
            session = view.session
            if turn is None or turn.number != number or turn.session != session:
                turn = self._turn(kind, view)
            if turn is not None:
                if turn.first < 0 and not turn.flags & _SEEDED:
                    turn.first = ordinal
                turn.last = ordinal
                turn.version += 1
        frequent = _FREQUENT.get(kind)
        try:
            if frequent is not None:
                frequent(self, view, turn)
            elif record is not None and kind in _HANDLERS:
                _HANDLERS[kind](self, record, turn)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            # A damaged or foreign record must not stop the fold; `check` names what is wrong.
            self.counts["(malformed)"] += 1
        if record is not None and kind in _LIFECYCLE:
            self.lifecycle.append(record)
        return turn

    def stream(
        self, session: int, number: int, text: str, offset: int | None = None
    ) -> Turn | None:
        """Takes in streamed text that is not in the log yet; the response replaces it.

        `offset` is where it begins in the reply. Text whose beginning has not been seen is left to
        the records.
        """
        turn = self.latest
        if turn is None or turn.session != session or turn.number != number:
            turn = self.find(session, number)
        if turn is None or turn.status != OPEN:
            return None
        if offset is not None:
            text = text[max(0, turn.streamed - offset) :]
            if not text or offset > turn.streamed:
                return None
        turn.text += text
        turn.streamed += len(text)
        turn.version += 1
        return turn

    def abandon(self, reason: str) -> Turn | None:
        """Closes a turn in progress: the log has no writer any more.

        Only for callers that know this; the log itself cannot tell. Returns the turn that is
        another one now.
        """
        held = self.turns[-1] if self.turns and self.turns[-1].flags & Flag.HELD else None
        if held is not None:
            held.flags &= ~Flag.HELD
            held.version += 1
        turn = self.current
        if turn is not None:
            turn.status = FAILED
            turn.flags |= Flag.ERROR
            turn.error = reason
            turn.code("end:abandoned")
            turn.version += 1
        self.hold = None
        return turn or held

    def _turn(self, kind: str, view: View) -> Turn | None:
        turn = self.find(view.session, view.turn)
        if turn is not None:
            return turn
        if kind in ("session.ended", "session.started"):
            return None
        side = getattr(view, "speaker", None) or view.side
        speaker = "provider" if side == "provider" else "persona"
        return self._new_turn(view.session, view.turn, speaker, view.attempt or 1)

    def _new_turn(self, session: int, number: int, speaker: str, attempt: int) -> Turn:
        holder = self.session(session) or self._new_session(session, "")
        turn = Turn(len(self.turns), session, number, speaker, attempt)
        self.turns.append(turn)
        holder.turns.append(turn.index)
        self.latest = turn
        return turn

    def _new_session(self, index: int, session_type: str) -> Session:
        session = self.session(index)
        if session is not None:
            if session_type:
                session.session_type = session_type
            return session
        session = Session(index, session_type)
        session.warm = self._warm_words()
        session.reflections = self._reflection_texts() if not self.sessions else ()
        self.sessions.append(session)
        return session

    def _side(self, name: Any) -> Totals:
        side = str(name or "provider")
        totals = self.totals.get(side)
        if totals is None:
            totals = self.totals[side] = Totals()
        return totals

    # --- one method a record type

    def _header(self, record: RecordDict, turn: Turn | None) -> None:
        if not self.header:
            self.header = record
            scenario = record.get("scenario")
            persona = scenario.get("persona") if isinstance(scenario, dict) else None
            if isinstance(persona, dict) and persona.get("simulator") == HUMAN:
                # A side that is a human from the beginning cannot be taken over.
                self.taken_over.add("persona")

    def _seeded(self, record: RecordDict, turn: Turn | None) -> None:
        self.seed = {
            "counters": record.get("counters", {}),
            "current": record.get("current"),
            "turns": len(record["turns"]),
        }
        past = Past(record)
        self.clock.goes_on(record.get("clock"))
        self.taken_over.update(record["counters"].get("taken_over") or ())
        self.prepared = record["sessions"]
        self.past_known, self.asked_before = past.known, past.open
        self.outputs += past.outputs
        self.inherited = past.totals or {
            side: totals_from(used) for side, used in usage_in(record["counters"]).items()
        }
        ended = {item.get("session"): item for item in record.get("ended", [])}
        for said, summary in past.in_order(record["turns"]):
            self._seeded_turn(said, summary)
        self.seed["last"] = len(self.turns) - 1
        if self.turns:
            self.turns[-1].code("branch")
        self._seeded_sessions(past)
        waiting = (record.get("counters") or {}).get("pending")
        if waiting is not None:
            interim = interim_in(waiting.get("messages") or ())
            self.left = (record["current"], waiting["turn"], interim)
        for index, item in ended.items():
            holder = self._new_session(index, item.get("session_type") or "")
            holder.termination = item.get("termination")
        self.latest = None

    def _seeded_turn(self, said: RecordDict | None, summary: RecordDict | None) -> None:
        """A turn of the past: as it was committed, if it was, and what else is known of it."""
        item = said or summary or {}
        session = item["session"]
        if self.session(session) is None:
            name = self.prepared[session - 1] if session <= len(self.prepared) else ""
            self._new_session(session, name)
        seeded = self._new_turn(session, item["turn"], item.get("speaker") or "persona", 1)
        seeded.flags = Flag.SEEDED
        seeded.status = COMMITTED if said else as_text(item.get("status")) or GONE
        if said is not None:
            _as_committed(seeded, said)
        if summary is not None:
            fill_summary(seeded, summary, self.clock.before.running)
        self.decided_before |= bool(seeded.flags & Flag.DECISION)

    def _seeded_sessions(self, past: Past) -> None:
        for item in past.sessions:
            session = self._new_session(item["session"], as_text(item.get("session_type")))
            session.first_speaker = item.get("first_speaker")
            session.max_turns = item.get("max_turns")
            session.skipped = item.get("skipped")

    def _warmed(self, record: RecordDict, turn: Turn | None) -> None:
        self.warm = record
        # Of a log that continues another: its sessions are known already.
        for session in self.sessions:
            session.warm = self._warm_words()

    def _warm_words(self) -> tuple[str, int] | None:
        if self.warm is None:
            return None
        return self.warm["template"], len(self.warm["messages"])

    def _reflected(self, record: RecordDict, turn: Turn | None) -> None:
        self.reflections.append(record)
        for session in self.sessions[:1]:
            session.reflections = self._reflection_texts()

    def _reflection_texts(self) -> tuple[tuple[int, str], ...]:
        return tuple((record["of"], record["text"]) for record in self.reflections)

    def _prepared(self, record: RecordDict, turn: Turn | None) -> None:
        if not record.get("replayed"):
            self.prepared = record["prepared"]

    def _entered(self, record: RecordDict, turn: Turn | None) -> None:
        self._new_session(record["session"], record["session_type"])

    def _session_started(self, record: RecordDict, turn: Turn | None) -> None:
        session = self._new_session(record["session"], record["session_type"])
        session.first_speaker = record.get("first_speaker")
        session.max_turns = record.get("max_turns")
        session.started_at = record.get("t")
        session.termination = None

    def _session_ended(self, record: RecordDict, turn: Turn | None) -> None:
        session = self._new_session(record["session"], record.get("session_type", ""))
        session.termination = record.get("termination")
        session.skipped = record.get("skipped")
        session.ended_at = record.get("t")
        self._used(record.get("usage"))
        if session.turns and not session.skipped:
            last = self.turns[session.turns[-1]]
            last.flags = (last.flags & ~Flag.HELD) | Flag.ENDED
            empty = _stopped_at_empty(last, session.termination or {})
            last.stage = "terminate"
            if last.status == OPEN:
                # Nothing was said in it: the simulated user was done, or the run was stopped.
                last.status = ENDED
            if empty:
                last.flags |= Flag.EMPTY
            if empty and (session.termination or {}).get("kind") == "interrupted":
                last.code("end:empty")
            else:
                _ending(last, session.termination or {})
            if len(session.turns) == 1 and last.status == ENDED:
                _ended_at_once(last, session.termination or {})
            last.version += 1
            self.ended_turns.add(last.index)
        self.latest = None

    def _used(self, usage: Any) -> None:
        """Usage of a whole session, where its single calls reported none."""
        for side, figures in (usage or {}).items():
            totals = self._side(side)
            totals.add(figures)
            totals.calls += figures.get("calls") or 0

    def _turn_started(self, view: View, turn: Turn | None) -> None:
        if turn is None:
            return
        turn.status = OPEN
        turn.stage = "request"
        turn.started = self.last_t
        turn.speaker = view.speaker
        turn.attempt = view.attempt or turn.attempt
        if turn.attempt > 1 and turn.text:
            turn.text = ""
            turn.streamed = 0
        if turn.attempt > 1:
            # These belong to the attempt before, whose records tell of it.
            turn.flags &= ~_OF_ATTEMPT
            turn.error = ""
            turn.interim = ()
            turn.codes = tuple(
                code for code in turn.codes if code.partition(":")[0] not in ("error", "incomplete")
            )
        if self.left is not None and self.left[:2] == (turn.session, turn.number):
            turn.interim, self.left = self.left[2], None
            turn.flags |= _INTERIM * bool(turn.interim)
        before = self.asked_before
        if before is not None and is_about(before, turn):
            self.asked_before = None
            carry_over(turn, before)
        if view.human:
            turn.flags |= Flag.HUMAN

    def _request(self, view: View, turn: Turn | None) -> None:
        self._side(view.side).calls += 1
        if turn is not None and turn.status == OPEN and view.side != "responder":
            if view.round is not None:
                self._beside_tools(turn, view)
            turn.stage = "request"
            turn.text = ""
            turn.streamed = 0

    @staticmethod
    def _beside_tools(turn: Turn, view: View) -> None:
        """Another round begins: the turn's text so far was written beside tool calls."""
        if not turn.text.strip():
            return
        number = view.round
        before = number - 1 if number is not None else len(turn.interim) + 1
        turn.interim = (*turn.interim, Interim(before, turn.text))
        turn.flags |= _INTERIM

    def _partial(self, view: View, turn: Turn | None) -> None:
        if turn is None or turn.status != OPEN or view.side == "responder":
            return
        have = turn.streamed - view.offset
        if have < len(view.text):
            fresh = view.text[max(0, have) :]
            turn.text += fresh
            turn.streamed += len(fresh)

    def _response(self, view: View, turn: Turn | None) -> None:
        totals = self._side(view.side)
        usage = view.usage
        if usage:
            add_usage(totals, usage)
        duration = view.duration
        if duration:
            totals.seconds += duration
        if turn is None:
            return
        if view.side != "responder":
            if turn.stage == "tools":
                # A file of another program without requests.
                self._beside_tools(turn, view)
            turn.text = view.raw
            turn.stage = "response"
        if view.reasoning:
            turn.flags |= Flag.REASONING
        if view.incomplete or view.finish_reason:
            _incomplete(turn, view)
        if view.reused:
            turn.flags |= Flag.REUSED
        if duration is not None:
            turn.latency = (turn.latency or 0.0) + duration
        if usage:
            add_usage(turn, usage)

    def _wrote(self, view: View, turn: Turn | None) -> None:
        if turn is not None:
            turn.text = view.text
            turn.flags |= Flag.HUMAN
            turn.stage = "response"
            if view.reused:
                turn.flags |= Flag.REUSED

    def _retry(self, record: RecordDict, turn: Turn | None) -> None:
        self._side(record.get("side")).retries += 1
        if turn is not None:
            turn.flags |= Flag.RETRY
            turn.code(f"retry:{record.get('side') or turn.speaker}")
            if record.get("side") != "responder":
                turn.text = ""
                turn.streamed = 0

    def _failed(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None:
            turn.flags |= Flag.ERROR
            turn.error = str(record["error"].get("message", ""))
            turn.status = FAILED
            _error(turn, record, record["error"])
            if record.get("partial") and record.get("side") != "responder":
                turn.text = record["partial"]
                turn.flags |= Flag.INCOMPLETE
                turn.code("incomplete:stream_died")

    def _tool_called(self, view: View, turn: Turn | None) -> None:
        if turn is not None:
            turn.flags |= Flag.TOOL
            turn.stage = "tools"

    def _tool_returned(self, view: View, turn: Turn | None) -> None:
        if turn is None:
            return
        # A call that was denied never ran, but the model called a tool and got an answer.
        turn.flags |= Flag.TOOL
        if not view.ok:
            turn.flags |= Flag.TOOL_ERROR
            turn.code(f"tool:{view.error_kind or 'failed'}")

    def _signals(self, view: View, turn: Turn | None) -> None:
        if turn is None:
            return
        turn.stage = "signals"
        matches = view.matches
        if not matches:
            turn.signals = ()
            turn.flags &= ~_SIGNAL
            return
        names = tuple(
            dict.fromkeys(match["signal"] for match in matches if match.get("counts") is not False)
        )
        for match in matches:
            if match.get("counts") is False:
                turn.code(f"thought:{match['signal']}")
        turn.signals = names
        turn.flags = turn.flags | _SIGNAL if names else turn.flags & ~_SIGNAL

    def _processed(self, view: View, turn: Turn | None) -> None:
        if turn is None:
            return
        turn.stage = "post_process"
        turn.text = view.text
        changed = view.changed
        turn.flags = turn.flags | _CHANGED if changed else turn.flags & ~_CHANGED

    def _discarded(self, view: View, turn: Turn | None) -> None:
        if turn is None:
            return
        turn.status = GONE
        turn.flags |= Flag.DISCARDED
        turn.text = view.text
        if view.error_text:
            turn.flags |= Flag.ERROR_TEXT
        turn.note = str(view.hook or "")
        turn.stage = "commit"

    def _inactive(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is None:
            return
        turn.status = INACTIVE
        turn.flags |= Flag.INACTIVE
        turn.text = record["text"]
        turn.note = str(record.get("reason") or "")
        turn.stage = "commit"

    def _committed(self, view: View, turn: Turn | None) -> None:
        if turn is None:
            return
        turn.status = COMMITTED
        turn.text = view.text
        turn.speaker = view.speaker
        turn.stage = "commit"
        # A reply supplied by hand replaces it completely.
        flags = int(turn.flags) & ~_ERROR_TEXT
        if view.human:
            flags |= _HUMAN
        else:
            # The human, whose turn it was, let the simulator speak.
            flags &= ~_HUMAN
        if view.edited:
            flags |= _EDITED
        if view.empty:
            flags |= _EMPTY
        if view.truncated:
            flags |= _TRUNCATED
        if view.error_text:
            flags |= _ERROR_TEXT
            turn.code("error_text")
        if view.would_have:
            flags |= int(Flag.WOULD_END)
            turn.note = f"would have been {_PAST.get(view.would_have, view.would_have)}"
        turn.flags = flags
        if view.interim == "say":
            turn.interim = ()
        noticed = view.flags
        if noticed or flags & _ALL_NOTICED:
            take_noticed(turn, noticed)

    def _decided(self, view: View, turn: Turn | None) -> None:
        if turn is not None:
            turn.flags |= Flag.DECISION
            turn.note = str(view.kind)
            code = f"decided:{turn.note}"
            if not view.valid and turn.note != "error":
                code += ":invalid"
            if view.for_record:
                code += ":record"
            elif view.by == "human":
                code += ":human"
            turn.code(code)

    def _user_ended(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None:
            turn.status = COMMITTED if turn.status == COMMITTED else ENDED
            turn.note = str(record.get("reason", ""))
            turn.text = str(record.get("dropped_text") or turn.text)

    def _output(self, view: View, turn: Turn | None) -> None:
        self.outputs += 1
        if turn is not None:
            turn.flags |= Flag.OUTPUT

    def _cancelled(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None:
            turn.flags |= Flag.CANCELLED
            turn.text = str(record.get("partial", ""))

    def _skipped(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None:
            turn.flags |= Flag.SKIPPED
            turn.status = "skipped"
            turn.note = str(record.get("reason", ""))

    def _held(self, record: RecordDict, turn: Turn | None) -> None:
        self.hold = record
        self.clock.hold(self.last_t)
        if turn is not None:
            turn.flags |= Flag.HELD
            if record.get("reason") == "breakpoint":
                turn.code("break")
            if record.get("stage") in STAGES:
                turn.stage = record["stage"]
            if turn.stage == "signals" and not turn.text:
                # A script's line has no record of its own before its turn is committed.
                drafts = record.get("drafts") or ()
                turn.text = next((str(d["text"]) for d in drafts if d.get("field") == "raw"), "")
            if record.get("reason") == "error":
                turn.flags |= Flag.ERROR
                turn.error = str((record.get("error") or {}).get("message", ""))
                _error(turn, record, record.get("error") or {})

    def _released(self, record: RecordDict, turn: Turn | None) -> None:
        self._go_on()
        if turn is not None:
            turn.flags &= ~Flag.HELD
            if record.get("choice") in ("simulate", "hand_back"):
                # The side speaks for itself after all.
                turn.flags &= ~Flag.HUMAN
            if turn.status == FAILED:
                turn.status = OPEN

    def _edited(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None:
            taken_back = record.get("undoes") is not None and not record.get("left")
            turn.flags = (turn.flags & ~Flag.EDITED) | (0 if taken_back else Flag.EDITED)
            if record.get("field") in ("raw", "text"):
                turn.text = str(record["after"])

    def _overrode(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None and record.get("undoes") is not None:
            turn.flags &= ~Flag.WOULD_END
            if turn.status != GONE:
                turn.note = ""
        elif turn is not None and record.get("what") == "ending" and record.get("after"):
            # Nothing would have ended it.
            turn.note = "ended by hand"
        elif turn is not None and record.get("what") in ("ending", "discard"):
            turn.flags |= Flag.WOULD_END
            if turn.status == OPEN and record.get("what") == "ending":
                # Nothing was said in it: whoever is asked next has a turn of its own.
                turn.status = ENDED
            if turn.status in (ENDED, GONE):
                # What it has a note of already is why.
                return
            turn.note = {
                "ending": "would have ended here",
                "discard": "would have been discarded",
            }.get(str(record.get("what")), turn.note)

    def _took_over(self, record: RecordDict, turn: Turn | None) -> None:
        self.taken_over.add(str(record.get("side", "persona")))

    def _handed_back(self, record: RecordDict, turn: Turn | None) -> None:
        self.taken_over.discard(str(record.get("side", "persona")))

    def _warning(self, record: RecordDict, turn: Turn | None) -> None:
        self.warnings.append(record)
        if turn is not None:
            turn.flags |= Flag.WARNING
            if record.get("code"):
                turn.code(f"warning:{record['code']}")

    def _crossed(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None:
            turn.code("budget")

    def _injected(self, record: RecordDict, turn: Turn | None) -> None:
        if turn is not None:
            turn.code(f"injected:{record.get('side') or turn.speaker}:{record.get('fault')}")

    def _ended(self, record: RecordDict, turn: Turn | None) -> None:
        self.termination = record.get("termination")
        self._go_on()

    def _trailer(self, record: RecordDict, turn: Turn | None) -> None:
        self.trailer = record
        self._go_on()

    def _go_on(self) -> None:
        """Nothing is held any more."""
        self.hold = None
        self.clock.release(self.last_t)


def _as_committed(turn: Turn, said: RecordDict) -> None:
    """A turn that was committed in a parent log."""
    turn.stage = "terminate"
    turn.text = said["text"]
    if said.get("human"):
        turn.flags |= Flag.HUMAN
    if said.get("edited"):
        turn.flags |= Flag.EDITED
    if said.get("would_have") in _WOULD_HAVE:
        turn.flags |= Flag.WOULD_END
        turn.note = _WOULD_HAVE[said["would_have"]]
    if said.get("incomplete"):
        turn.flags |= Flag.INCOMPLETE
        turn.code(f"incomplete:{said['incomplete']}")
    if said.get("error_text"):
        turn.flags |= Flag.ERROR_TEXT
        turn.code("error_text")
    take_noticed(turn, said.get("flags"))
    interim = interim_in(said.get("messages") or ())
    if interim:
        turn.flags |= Flag.INTERIM
        turn.interim = () if said.get("interim") == "say" else interim


def take_noticed(turn: Turn, noticed: Any) -> None:
    """Takes the findings about the committed text, not those about an earlier one."""
    flags = int(turn.flags) & ~_ALL_NOTICED
    turn.codes = tuple(code for code in turn.codes if code.partition(":")[0] not in _NOTICED)
    for entry in noticed or ():
        if entry.get("flag") in _NOTICED:
            flags |= _NOTICED[entry["flag"]]
            turn.code(f"{entry['flag']}:{entry.get('rule') or ''}")
    turn.flags = flags


def _incomplete(turn: Turn, view: View) -> None:
    """Keeps why a reply is incomplete: as recorded, and by its finish reason."""
    reason = view.incomplete
    ended = finish_means(view.finish_reason)
    if reason or ended:
        turn.flags |= Flag.INCOMPLETE
        for code in dict.fromkeys((str(reason or ""), ended)):
            if code:
                turn.code(f"incomplete:{code}")


def _error(turn: Turn, record: RecordDict, error: dict[str, Any]) -> None:
    message = str(error.get("message", ""))
    late = error.get("type") == "ModelTimeout" or "(turn_timeout)" in message
    kind = "timeout" if late else error.get("category") or "other"
    turn.code(f"error:{record.get('side') or turn.speaker}:{kind}")


def _stopped_at_empty(turn: Turn, termination: dict[str, Any]) -> bool:
    """Whether a turn went through its hooks, is empty, and was the last of the run."""
    if turn.status != OPEN or turn.stage != "post_process":
        return False
    if (termination.get("kind"), termination.get("by")) != ("interrupted", "harness") and not (
        termination.get("kind") == "failed" and _is_of_the_turn(termination)
    ):
        return False
    # Its patterns take longer to compile than all else here to import, and where provider code has
    # emptied `sys.modules` nothing can be imported any more.
    from convtui.text_checks.reasoning import says_nothing

    return says_nothing(turn.text)


def _is_of_the_turn(termination: dict[str, Any]) -> bool:
    """Whether a session failed for what a side said, or did not say, and not in a hook."""
    detail = termination.get("detail")
    category = detail.get("category") if isinstance(detail, dict) else None
    return category in ("provider", "user_simulator")


def _ended_at_once(turn: Turn, termination: dict[str, Any]) -> None:
    """The first and only turn of a session, in which nothing was said."""
    if termination.get("kind") == "completed" and termination.get("by") == "simulator":
        turn.code("end:at-once")


def _ending(turn: Turn, termination: dict[str, Any]) -> None:
    """Marks the last turn before an ending that is not an ordinary one."""
    kind, by = termination.get("kind"), termination.get("by")
    if kind == "abstained" and not any(code.startswith("decided:") for code in turn.codes):
        turn.code("decided:abstain")
    elif kind == "budget" or (kind == "interrupted" and by == "harness"):
        turn.code(f"end:{kind}")
    elif kind == "failed" and by == "harness":
        turn.code("end:internal")
    elif kind == "failed" and not any(code.startswith("error:") for code in turn.codes):
        category = (termination.get("detail") or {}).get("category") or "other"
        turn.code(f"error:{'provider' if by == 'provider' else 'persona'}:{category}")


_PAST = {"end": "ended", "discard": "discarded"}
_WOULD_HAVE = {"end": "would have ended here", "discard": "would have been discarded"}

_FREQUENT: Final = {
    "turn.started": Transcript._turn_started,
    "llm.request": Transcript._request,
    "llm.partial": Transcript._partial,
    "llm.response": Transcript._response,
    "human.wrote": Transcript._wrote,
    "tool.called": Transcript._tool_called,
    "tool.returned": Transcript._tool_returned,
    "signals.extracted": Transcript._signals,
    "response.processed": Transcript._processed,
    "turn.discarded": Transcript._discarded,
    "turn.committed": Transcript._committed,
    "user.decided": Transcript._decided,
    "provider.output": Transcript._output,
}
"""Of types that come as views."""

_HANDLERS: Final = {
    "header": Transcript._header,
    "history.seeded": Transcript._seeded,
    "context.seeded": Transcript._warmed,
    "reflection.added": Transcript._reflected,
    "sessions.prepared": Transcript._prepared,
    "session.entered": Transcript._entered,
    "session.started": Transcript._session_started,
    "session.ended": Transcript._session_ended,
    "llm.retry": Transcript._retry,
    "llm.failed": Transcript._failed,
    "turn.inactive": Transcript._inactive,
    "user.ended": Transcript._user_ended,
    "turn.cancelled": Transcript._cancelled,
    "turn.skipped": Transcript._skipped,
    "debug.held": Transcript._held,
    "debug.released": Transcript._released,
    "debug.edited": Transcript._edited,
    "debug.overrode": Transcript._overrode,
    "debug.injected": Transcript._injected,
    "debug.took_over": Transcript._took_over,
    "debug.handed_back": Transcript._handed_back,
    "warning": Transcript._warning,
    "budget.crossed": Transcript._crossed,
    "conversation.ended": Transcript._ended,
    "trailer": Transcript._trailer,
}
