"""Folds the records of a parent log into what a continuation takes from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convtui.engine.core.pending import Pending
from convtui.engine.core.reflections import Reflection
from convtui.engine.resume.responder_memory import ResponderMemory
from convtui.engine.resume.tool_memory import ToolMemory, calls_of
from convtui.models.base import Reply
from convtui.records.models import RecordDict, Side, Speaker
from convtui.transcript.usage import Used, usage_in
from convtui.warm.templates import WarmContext

STOPPED = frozenset({"budget", "interrupted", "failed"})
"""Endings that stop the conversation where it is; the session can go on from there."""
LIMITS = frozenset({"max_turns", "word_limit"})
"""Endings that a higher limit undoes."""


class ResumeFold:
    """Folds a log's records: what was committed, what is open, what is waiting.

    `take()` calls `on_<type>` for every record that matters here; everything else is evidence that
    stays in the parent.
    """

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
        self.edits: list[RecordDict] = []
        """The edits in force of the pending raw reply."""
        self.unsettled: dict[str, Any] | None = None
        self.speaks_next: Speaker | None = None
        self.was_reset: set[int] = set()
        self.waiting: dict[str, Any] | None = None
        self.metadata: dict[str, Any] = {}
        self.usage: dict[str, Used] = {}
        self.restored_by: str | None = None
        self.tools = ToolMemory()
        self.approve_tools: bool | list[str] | None = None
        """The calls that need approval, where that was changed by hand."""
        self.matches: list[dict[str, Any]] = []
        self.last_seq = -1
        self.termination: RecordDict | None = None
        self.taken_over: set[str] = set()
        self.budget: list[dict[str, Any]] = []
        self.compressed: dict[int, dict[str, Any]] = {}
        self.warm: WarmContext | None = None
        """The warm start of every session."""
        self.reflections: list[Reflection] = []
        """What earlier attempts at the conversation have taught."""
        self.responder = ResponderMemory()
        self.closed_responder: ResponderMemory | None = None
        """The responder's session that the last session closed; it can be reopened."""

        self._handlers: dict[str, Callable[[RecordDict], None]] = {
            "header": self._on_header,
            "history.seeded": self._on_history_seeded,
            "context.seeded": self._on_context_seeded,
            "reflection.added": self._on_reflection_added,
            "sessions.prepared": self._on_sessions_prepared,
            "session.entered": self._on_session_entered,
            "session.started": self._on_session_started,
            "session.ended": self._on_session_ended,
            "session.reset": self._on_session_reset,
            "turn.started": self._on_turn_started,
            "llm.request": self._on_llm_request,
            "provider.restored": self._on_provider_restored,
            "llm.response": self._on_llm_response,
            "human.wrote": self._on_human_wrote,
            "user.decided": self._on_user_decided,
            "user.closed": self._on_user_closed,
            "tool.called": self._on_tool_called,
            "tool.denied": self._on_tool_denied,
            "tool.returned": self._on_tool_returned,
            "signals.extracted": self._on_signals_extracted,
            "debug.edited": self._on_debug_edited,
            "turn.committed": self._on_turn_committed,
            "turn.discarded": self._on_turn_discarded,
            "turn.skipped": self._on_turn_skipped,
            "user.ended": self._on_user_ended,
            "debug.overrode": self._on_debug_overrode,
            "context.compressed": self._on_context_compressed,
            "budget.raised": self._on_budget_raised,
            "debug.took_over": self._on_debug_took_over,
            "debug.handed_back": self._on_debug_handed_back,
            "conversation.ended": self._on_conversation_ended,
        }

    def take(self, record: RecordDict) -> None:
        """Folds the next record."""
        self.last_seq = int(record.get("seq", self.last_seq + 1))
        handler = self._handlers.get(str(record.get("type")))
        if handler is not None:
            handler(record)

    def _on_header(self, record: RecordDict) -> None:
        if self.header:
            return  # a second one is damage, and nobody's word
        self.header = record
        self.responder.began(record.get("scenario"))

    def _on_history_seeded(self, record: RecordDict) -> None:
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
        self.usage = usage_in(counters)
        self.unsettled = counters.get("unsettled")
        self.speaks_next = counters.get("speaks_next")
        self.waiting = counters.get("pending")
        self.approve_tools = counters.get("approve_tools")
        self.taken_over = set(counters.get("taken_over", ()))
        self.budget = list(counters.get("budget", ()))
        compressed = counters.get("compressed", {})
        self.compressed = {int(session): dict(data) for session, data in compressed.items()}
        messages = record.get("messages", {}).get("responder")
        self.responder.seeded(counters.get("responder"), messages)
        self.in_session = bool(self.current) and self.current in self.first

    def _on_context_seeded(self, record: RecordDict) -> None:
        self.warm = WarmContext.from_record(record)

    def _on_reflection_added(self, record: RecordDict) -> None:
        self.reflections.append(Reflection.from_record(record, str(self.header.get("id", ""))))

    def _on_sessions_prepared(self, record: RecordDict) -> None:
        if record.get("replayed"):
            return
        self.prepared = list(record["prepared"])

    def _on_session_entered(self, record: RecordDict) -> None:
        if record.get("replayed"):
            return
        if record.get("outcome", "ok") == "ok":
            self.current = int(record["session"])

    def _on_session_started(self, record: RecordDict) -> None:
        self.current = int(record["session"])
        self.first[self.current] = record["first_speaker"]
        self.in_session = True
        self.closed_responder = None
        if not record.get("continued"):
            self.retries = self.skips = 0
            self.skipped = None
            self.unsettled = self.speaks_next = self.waiting = None
        self.ended = [item for item in self.ended if item["session"] != self.current]

    def _on_session_ended(self, record: RecordDict) -> None:
        if record.get("skipped"):
            return
        self.in_session = False
        kind = (record.get("termination") or {}).get("kind")
        if kind not in STOPPED | LIMITS:
            self.unsettled = None
        if kind not in STOPPED:
            self._close_turn()
        self.ended.append(
            {
                "session": record["session"],
                "session_type": record.get("session_type", ""),
                "termination": record.get("termination"),
            }
        )

    def _on_session_reset(self, record: RecordDict) -> None:
        if record.get("replayed"):
            return
        if record.get("outcome", "ok") == "ok":
            self.was_reset.add(int(record["session"]) + 1)

    def _on_turn_started(self, record: RecordDict) -> None:
        self.open = record
        self.reply = None
        self.edits = []
        self.unsettled = None
        self.tools.clear()
        self.matches = []
        session = int(record.get("session", 1))
        self.numbers[session] = max(self.numbers.get(session, 0), int(record["turn"]))

    def _on_llm_request(self, record: RecordDict) -> None:
        if record.get("turn") is None:
            return  # of no turn: for a summary, or to bring the provider up to the record
        self.waiting = None
        if record.get("side") == "responder":
            self.responder.asked(record)

    def _on_provider_restored(self, record: RecordDict) -> None:
        self.restored_by = record.get("mode")

    def _on_llm_response(self, record: RecordDict) -> None:
        if record.get("turn") is None:
            self._used(record)
            return
        if record.get("reused") and self.waiting is not None:
            before = list(self.waiting.get("messages", ()))
            if record.get("side") == "responder":
                self.responder.asked({"append": before})
            else:
                self.tools.seeded(before, self.waiting.get("tools"))
        self._used(record)
        if record.get("side") == "responder":
            self.responder.answered(record)
            self.reply = record
            self.waiting = None
        else:
            if record.get("side") == "provider":
                self.tools.answered(record)
            self.reply = record
            self.waiting = None
        self.edits = []

    def _on_human_wrote(self, record: RecordDict) -> None:
        """The human's text stands in the place of the draft, whose metadata it keeps."""
        drafted = self.reply or {}
        self.reply = {
            **{name: drafted[name] for name in _REPLY if name in drafted},
            "raw": record["text"],
            "seq": record.get("seq"),
            "side": record.get("side"),
            "human": True,
            "draft": record.get("draft"),
        }
        self.waiting = None
        self.edits = []

    def _used(self, record: RecordDict) -> None:
        usage = record.get("usage")
        if usage:
            side = self.usage.setdefault(str(record.get("side", "provider")), {})
            for name in ("prompt_tokens", "completion_tokens", "cost"):
                if usage.get(name) is not None:
                    side[name] = side.get(name, 0) + usage[name]

    def _on_user_decided(self, record: RecordDict) -> None:
        self.responder.decided(record)
        if record.get("kind") == "error" or record.get("for_record"):
            # Nothing to go on from: it is asked again.
            self.reply = None
        elif record.get("by") == "human" and self.reply is not None:
            self.reply = {**self.reply, "forced": record}

    def _on_user_closed(self, record: RecordDict) -> None:
        self.closed_responder = self.responder
        self.responder = self.responder.anew()

    def _on_tool_called(self, record: RecordDict) -> None:
        self.tools.called(record)

    def _on_tool_denied(self, record: RecordDict) -> None:
        self.tools.was_denied(record)

    def _on_tool_returned(self, record: RecordDict) -> None:
        self.tools.returned(record)

    def _on_signals_extracted(self, record: RecordDict) -> None:
        self.matches = list(record.get("matches", []))

    def _on_debug_edited(self, record: RecordDict) -> None:
        kind, _, name = str(record.get("field")).partition(":")
        if kind == "result":
            self.tools.edited(name, str(record.get("after")))
        if record.get("field") == "brief":
            self.responder.brief_edited(str(record.get("after")))
        if record.get("field") == "raw" and self.open is not None:
            if self.reply is None:
                # Written by hand, where a call had failed.
                self.reply = {
                    "raw": str(record.get("before") or ""),
                    "seq": record.get("seq"),
                    "side": record.get("side"),
                    "supplied": True,
                }
            if record.get("undoes") is not None:
                self.edits = self.edits[:-1]
            else:
                self.edits = [*self.edits, record]
        elif record.get("field") == "decision" and record.get("undoes") is not None and self.reply:
            self.reply = {name: value for name, value in self.reply.items() if name != "forced"}

    def _on_turn_committed(self, record: RecordDict) -> None:
        turn: dict[str, Any] = {
            "session": int(record.get("session", 1)),
            "turn": int(record["turn"]),
            "speaker": record["speaker"],
            "text": record["text"],
        }
        messages = self.tools.all_messages()
        if messages:
            turn["messages"] = messages
        for name in _KEPT_OF_TURN:
            if record.get(name):
                turn[name] = record[name]
        if record["speaker"] == "provider" and record.get("metadata"):
            self.metadata = dict(record["metadata"])
        self.turns.append(turn)
        if record["speaker"] == "persona":
            self.responder.said(record)
        self.retries = 0
        if record["speaker"] == self.skipped:
            self.skips, self.skipped = 0, None
        self.speaks_next = None
        self.unsettled = {"kind": "commit", "matches": self.matches}
        self._close_turn()

    def _on_turn_discarded(self, record: RecordDict) -> None:
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

    def _on_turn_skipped(self, record: RecordDict) -> None:
        if self.open is not None:
            self.speaks_next = _other(self.open["speaker"])
        self._close_turn()

    def _on_user_ended(self, record: RecordDict) -> None:
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

    def _on_debug_overrode(self, record: RecordDict) -> None:
        if record.get("what") == "ending":
            self.unsettled = None
            self._would_have_ended(record)
        elif record.get("what") == "approve_tools":
            self.approve_tools = record.get("after")

    def _would_have_ended(self, record: RecordDict) -> None:
        """Notes on a turn that the session would have ended there."""
        last = self.turns[-1] if self.turns else None
        here = (record.get("session"), record.get("turn"))
        if last is None or (last["session"], last["turn"]) != here:
            return
        kept = {name: value for name, value in last.items() if name != "would_have"}
        self.turns[-1] = kept if record.get("undoes") is not None else {**kept, "would_have": "end"}

    def _on_context_compressed(self, record: RecordDict) -> None:
        self.compressed[int(record["session"])] = {
            "summary": str(record["summary"]),
            "upto": int(record["upto"]),
        }

    def _on_budget_raised(self, record: RecordDict) -> None:
        names = ("scope", "what", "limit")
        self.budget.append({name: record[name] for name in names if name in record})

    def _on_debug_took_over(self, record: RecordDict) -> None:
        self.taken_over.add(str(record.get("side", "persona")))

    def _on_debug_handed_back(self, record: RecordDict) -> None:
        self.taken_over.discard(str(record.get("side", "persona")))

    def _on_conversation_ended(self, record: RecordDict) -> None:
        self.termination = record.get("termination")

    @property
    def edited_raw(self) -> str | None:
        """The pending raw reply as edited, or None if it was not edited."""
        return str(self.edits[-1]["after"]) if self.edits else None

    def _close_turn(self) -> None:
        self.open = None
        self.reply = None
        self.waiting = None

    def pending(self, log: str, hold: bool) -> Pending | None:
        """The reply that was received and not committed, if any."""
        if self.waiting is not None:
            return pending_of(self.waiting, hold)
        if self.open is None or self.reply is None:
            return None
        record = self.reply
        side = _side(record.get("side"))
        by_model = not record.get("human") and not record.get("supplied")
        return Pending(
            speaker=self.open["speaker"],
            number=int(self.open["turn"]),
            attempt=int(self.open.get("attempt") or 1) + 1,
            reply=_reply(record),
            source={"log": log, "seq": record.get("seq")},
            messages=tuple(self.responder.request if side == "responder" else self.tools.messages),
            hold=hold,
            side=side,
            edits=tuple((str(edit["before"]), str(edit["after"])) for edit in self.edits),
            forced=record.get("forced"),
            human=bool(record.get("human")),
            draft=record.get("draft"),
            supplied=bool(record.get("supplied")),
            tools=self.tools.open_round(log) if side == "provider" and by_model else None,
        )


_KEPT_OF_TURN = (
    "metadata", "human", "edited", "draft", "flags", "would_have", "interim", "reply",
    "incomplete", "error_text",
)  # fmt: skip
_REPLY = (
    "reasoning", "finish_reason", "refused", "parts", "response_id", "model", "metadata",
    "incomplete",
)  # fmt: skip


def _other(speaker: Speaker) -> Speaker:
    return "provider" if speaker == "persona" else "persona"


def _reply(record: RecordDict) -> Reply:
    known = {name: record[name] for name in _REPLY if record.get(name)}
    return Reply(text=record["raw"], tool_calls=calls_of(record), **known)


def _side(value: Any) -> Side:
    return value if value in ("persona", "provider", "responder") else "persona"


def pending_data(pending: Pending) -> dict[str, Any]:
    """A pending reply for `history.seeded`, so that a child that dies at once does not lose it."""
    reply = pending.reply
    return {
        "speaker": pending.speaker,
        "turn": pending.number,
        "attempt": pending.attempt,
        "source": pending.source,
        "messages": list(pending.messages),
        "raw": reply.text,
        "side": pending.side,
        **({"edits": [list(edit) for edit in pending.edits]} if pending.edits else {}),
        **({"forced": pending.forced} if pending.forced else {}),
        **({"human": True} if pending.human else {}),
        **({"draft": pending.draft} if pending.draft else {}),
        **({"supplied": True} if pending.supplied else {}),
        **({"tools": pending.tools} if pending.tools else {}),
        **({"tool_calls": [c.as_message() for c in reply.tool_calls]} if reply.tool_calls else {}),
        **{name: getattr(reply, name) for name in _REPLY if getattr(reply, name)},
    }


def pending_of(data: dict[str, Any], hold: bool) -> Pending:
    """The reverse of `pending_data()`."""
    return Pending(
        speaker=data["speaker"],
        number=int(data["turn"]),
        attempt=int(data["attempt"]),
        reply=_reply(data),
        source=dict(data["source"]),
        messages=tuple(data.get("messages", ())),
        hold=hold,
        side=_side(data.get("side")),
        edits=tuple((str(before), str(after)) for before, after in data.get("edits", ())),
        forced=data.get("forced"),
        human=bool(data.get("human")),
        draft=data.get("draft"),
        supplied=bool(data.get("supplied")),
        tools=data.get("tools"),
    )
