"""Writes a log as oharness' event JSONL, schema 1.0.

One log is one run. What oharness has no event for and what a reader of ours needs (human turns,
decisions, shown texts, sessions, endings) goes in as `user.log` under `convtui.`, a namespace that
is not reserved. `run.finished` has its termination as JSON in `extra`, too; the capabilities of a
model that nobody told us of are false and zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from convtui.log.formats.export_fold import (
    ExportFold,
    add_usage,
    is_provider,
    new_file,
)
from convtui.log.formats.left_out import ENDINGS, RAW, SESSION_ENDINGS, USAGE
from convtui.log.formats.oharness.blocks import (
    UNKNOWN,
    messages_out,
    params_out,
    response_blocks,
    stop_reason,
    text_or_json,
    tool_input,
    usage_out,
)
from convtui.log.formats.oharness.endings import ending_out, to_debug
from convtui.log.formats.oharness.events import NAMESPACE
from convtui.log.formats.oharness.lines import RUN, EventFile, meta_of
from convtui.log.formats.registry import Written
from convtui.log.reader import Log
from convtui.records.codec import ENVELOPE, RecordDict
from convtui.records.interim import last_round
from convtui.records.values import as_object, drop_none
from convtui.text.boundary import safe_name

PLACED: Final = frozenset(
    {
        "turn.discarded", "turn.inactive", "llm.retry", "llm.failed", "tool.called",
        "user.decided", "user.ended", "debug.edited", "history.seeded", USAGE, ENDINGS,
        SESSION_ENDINGS, RAW,
    }
)  # fmt: skip


def write(log: Log, out: Path) -> Written:
    """Writes one event file below `out`, named after the log.

    Raises `FileError` when it is there already or cannot be written.
    """
    stem = log.path.name.removesuffix(".jsonl")
    path = out / f"{safe_name(stem, limit=120, default='run')}.oharness.jsonl"
    with new_file(path) as file:
        export = _Export(log, file)
        export.run()
    return Written((path,), tuple(export.notes()))


@dataclass(slots=True)
class _OpenTurn:
    """The turn that is open, in their words: a reply of the model."""

    key: tuple[Any, Any]
    opened: int
    """The `seq` of its `turn.started`."""
    raw: str | None = None
    finish: Any = None
    usage: dict[str, Any] = field(default_factory=dict)
    tools: int = 0


class _Export:
    """One way through a log, writing as it goes."""

    def __init__(self, log: Log, file: BinaryIO) -> None:
        self._log = log
        self._fold = ExportFold(log, "oharness", PLACED)
        self._file = EventFile(self._fold, file)
        self._opened = 0
        """The `seq` of `run.started`."""
        self._index = -1
        """Of the turn that was opened last, from 0."""
        self._turn: _OpenTurn | None = None
        self._calls = self._tool_calls = 0
        self._spans: dict[str, str] = {}
        """The span of every tool call that has not returned."""
        self._finished = self._committed = 0
        """Turns of the provider, and of both."""
        self._messages: tuple[int, list[Any]] = (-1, [])
        """The last request and its messages: the next one mostly builds on it."""
        self._termination: dict[str, Any] | None = None
        self._seeded_session: Any = None
        """The session that was under way when the log began; it is not begun again."""

    # --- the run

    def run(self) -> None:
        """Writes everything."""
        self._file.emit("meta", meta_of(self._fold))
        self._opened = self._file.emit("run.started", {})
        self._fold.run(
            {
                "history.seeded": self._on_seeded,
                "session.started": self._on_session_started,
                "session.ended": self._on_session_ended,
                "conversation.ended": self._on_ended,
                "turn.started": self._on_turn_started,
                "turn.committed": self._on_committed,
                "turn.discarded": self._on_discarded,
                "turn.inactive": self._on_inactive,
                "llm.request": self._on_request,
                "llm.response": self._on_response,
                "llm.retry": self._on_retry,
                "llm.failed": self._on_failed,
                "tool.called": self._on_called,
                "tool.returned": self._on_returned,
                "user.decided": self._on_decided,
                "user.ended": self._on_user_ended,
                "debug.edited": self._on_edited,
            },
            tolerant=True,
        )
        self._end()

    def _end(self) -> None:
        termination = self._termination or self._log.transcript.termination
        if termination is None:
            return
        self._turn = None
        self._emit_own("ended", {"termination": termination})
        shape = ending_out(termination, at_turn=max(self._index, 0), turns=self._finished)
        payload = {
            "termination": to_debug(shape),
            "turns": self._finished,
            "tool_calls": self._tool_calls,
            "extra": {"termination": shape},
        }
        self._file.emit("run.finished", payload, RUN, self._opened)

    def notes(self) -> Iterator[str]:
        """What the format has no place for, and where it went."""
        sessions = [s for s in self._log.transcript.sessions if not s.skipped]
        if len(sessions) > 1:
            yield f"{len(sessions)} sessions are one run there (user.log events tell them apart)"
        yield from self._fold.notes()
        if self._log.transcript.termination is None and self._termination is None:
            yield "the log has no ending: there is no run.finished"

    def _emit_own(self, name: str, payload: dict[str, Any]) -> None:
        """Writes an event that only we have, in the span of the open turn."""
        known = drop_none(payload)
        span, parent = RUN, self._opened
        if self._turn is not None:
            span, parent = f"turn-{self._index}", self._turn.opened
        self._file.emit("user.log", {"namespace": NAMESPACE + name, **known}, span, parent)

    # --- sessions

    def _on_seeded(self, record: RecordDict) -> None:
        sessions = self._log.transcript.sessions
        last: Any = None
        ended = {item["session"]: item for item in record.get("ended", [])}
        for turn in record.get("turns", []):
            if turn.get("session") != last:
                if last in ended:
                    self._on_session_ended(ended[last])
                last = turn.get("session")
                session = next((s for s in sessions if s.index == last), None)
                session_type = session.session_type if session is not None else ""
                self._session(session_type, turn["speaker"])
            speaker, text = str(turn["speaker"]), last_round(turn)
            self._fold.count("turns said before this log began (their replies are in its parent)")
            if speaker == "provider":
                self._start((turn.get("session"), turn.get("turn")))
            self._commit(speaker, text, {"human": turn.get("human"), "edited": turn.get("edited")})
        if last in ended:
            self._on_session_ended(ended[last])
        else:
            self._seeded_session = last

    def _session(self, session_type: str, first: Any, max_turns: Any = None) -> None:
        self._turn = None
        self._emit_own(
            "session",
            {"session_type": session_type, "first_speaker": first, "max_turns": max_turns},
        )

    def _on_session_started(self, record: RecordDict) -> None:
        if record.get("session") == self._seeded_session:
            self._seeded_session = None
            return
        self._session(
            str(record.get("session_type", "")),
            record.get("first_speaker"),
            record.get("max_turns"),
        )

    def _on_session_ended(self, record: RecordDict) -> None:
        self._turn = None
        if record.get("skipped") is None:
            self._emit_own("session.ended", {"termination": record.get("termination")})

    def _on_ended(self, record: RecordDict) -> None:
        self._termination = as_object(record.get("termination")) or None

    # --- turns

    def _start(self, key: tuple[Any, Any]) -> _OpenTurn:
        if self._turn is None or self._turn.key != key:
            self._index += 1
            self._turn = None
            payload = {"turn_index": self._index}
            seq = self._file.emit("turn.started", payload, f"turn-{self._index}", self._opened)
            self._turn = _OpenTurn(key, seq)
        return self._turn

    def _open(self, record: RecordDict) -> _OpenTurn:
        return self._start((record.get("session"), record.get("turn")))

    def _on_turn_started(self, record: RecordDict) -> None:
        if record.get("speaker") == "provider":
            self._open(record)
        else:
            self._turn = None

    def _on_committed(self, record: RecordDict) -> None:
        if record.get("speaker") == "provider":
            self._open(record)
        marks = {name: record.get(name) for name in ("human", "edited", "truncated", "draft")}
        self._commit(str(record.get("speaker")), last_round(record), marks)

    def _commit(self, speaker: str, text: str, marks: dict[str, Any]) -> None:
        marks = {name: value for name, value in marks.items() if value}
        if marks.get("human"):
            self._fold.count("turns said by a human (marked in user.log events)")
        note: dict[str, Any] = {"speaker": speaker, **marks}
        self._committed += 1
        if speaker != "provider":
            self._turn = None
            if self._committed == 1:
                # The user's first words have no event of their own there.
                self._emit_own("turn", {**note, "text": text, "said": True})
                return
            if marks:
                self._emit_own("turn", note)
            simulator = (
                "human" if marks.get("human") else str(self._fold.header.get("persona") or "")
            )
            span = f"turn-{self._index}" if self._index >= 0 else RUN
            payload = {"simulator": simulator, "text": text}
            self._file.emit("user.simulated.message", payload, span, self._opened)
            return
        turn = self._turn
        assert turn is not None
        if turn.raw is None and not marks.get("human"):
            self._unrecorded(turn, text)
        if marks or turn.raw != text:
            self._emit_own("turn", {**note, "text": text})
        finished: dict[str, Any] = {
            "turn_index": self._index,
            "stop_reason": stop_reason(turn.finish),
            "usage": turn.usage or usage_out(None)[0],
            "tool_calls": turn.tools,
        }
        self._file.emit("turn.finished", finished, f"turn-{self._index}", turn.opened)
        self._finished += 1
        self._turn = None

    def _unrecorded(self, turn: _OpenTurn, text: str) -> None:
        """The log has what was said and no reply: a reply is written that says so."""
        self._fold.count("replies that the log does not have (the text that was said is there)")
        provider = self._fold.provider
        response = {
            "id": "",
            "model": str(provider.get("model") or provider.get("name") or ""),
            "content": response_blocks(text, None, None),
            "stop_reason": stop_reason(None),
            "usage": usage_out(None)[0],
        }
        payload = {"response": response, "not_recorded": True}
        self._file.emit("llm.response", payload, f"llm-{self._calls}", turn.opened)
        self._calls += 1

    def _on_discarded(self, record: RecordDict) -> None:
        names = ("speaker", "text", "raw", "signals", "hook", "outcome", "human")
        self._drop(record, "discarded", names)

    def _on_inactive(self, record: RecordDict) -> None:
        self._drop(record, "inactive", ("speaker", "text", "reason"))

    def _drop(self, record: RecordDict, mark: str, names: tuple[str, ...]) -> None:
        """A turn that is in no history: an event of ours has what there was of it."""
        if record.get("speaker") == "provider":
            self._open(record)
        self._emit_own("turn", {**{name: record.get(name) for name in names}, mark: True})
        self._fold.count(f"{mark} turns (in user.log events)")
        self._turn = None

    # --- calls

    def _on_request(self, record: RecordDict) -> None:
        if not is_provider(record):
            self._fold.count(f"requests to the {record.get('side')}'s model left out")
            return
        turn = self._open(record)
        seq = int(record.get("seq") or 0)
        base, known = self._messages
        if record.get("base") == base:
            messages = [*known[: int(record.get("keep") or 0)], *record.get("append", [])]
        else:
            whole = self._fold.messages(record)
            if whole is None:
                self._fold.count("requests that the log no longer has in full left out")
            messages = list(record.get("append", [])) if whole is None else whole
        self._messages = (seq, messages)
        system, written = messages_out(messages)
        request: dict[str, Any] = {"messages": written}
        if system is not None:
            request["system"] = system
        request.update(params_out(record.get("params"), record.get("tools")))
        provider = self._fold.provider.get("name")
        payload = {"request": request, "provider": provider if provider else None}
        self._file.emit("llm.request", payload, f"llm-{self._calls}", turn.opened)
        turn.raw = None

    def _answer(
        self, kind: str, record: RecordDict, payload: dict[str, Any], *, over: bool = True
    ) -> None:
        turn = self._open(record)
        self._file.emit(kind, payload, f"llm-{self._calls}", turn.opened)
        self._calls += over

    def _on_response(self, record: RecordDict) -> None:
        if not is_provider(record):
            self._emit_own("reply", _fields(record, "side"))
            self._fold.count(f"replies of the {record.get('side')}'s model (in user.log events)")
            return
        turn = self._open(record)
        turn.raw = str(record.get("raw", ""))
        stop = record.get("stop_reason")
        turn.finish = record.get("finish_reason")
        usage, unknown = usage_out(record.get("usage"))
        response = {
            "id": str(record.get("response_id") or ""),
            "model": str(record.get("model") or ""),
            "content": response_blocks(turn.raw, record.get("tool_calls"), record.get("reasoning")),
            "stop_reason": stop if isinstance(stop, dict) else stop_reason(turn.finish),
            "usage": usage,
        }
        payload: dict[str, Any] = {"response": response}
        if unknown:
            payload[UNKNOWN] = unknown
        if "tokens_input" in unknown:
            self._fold.count(f"replies without usage (zero there, named in {UNKNOWN})")
        add_usage(turn.usage, usage)
        self._answer("llm.response", record, payload)

    def _on_retry(self, record: RecordDict) -> None:
        if not is_provider(record):
            self._fold.count(f"retries of calls to the {record.get('side')}'s model left out")
            return
        payload = {"attempt": record.get("n") or 1, "reason": _message(record)}
        if record.get("delay"):
            payload["delay"] = record["delay"]
        self._answer("llm.retry", record, payload, over=False)

    def _on_failed(self, record: RecordDict) -> None:
        if not is_provider(record):
            self._fold.count(f"failed calls to the {record.get('side')}'s model left out")
            return
        payload = {"reason": _message(record)}
        if record.get("partial"):
            payload["partial"] = str(record["partial"])
        self._answer("llm.failed", record, payload)

    # --- tools

    def _on_called(self, record: RecordDict) -> None:
        turn = self._open(record)
        span = f"tool-{self._tool_calls}"
        self._tool_calls += 1
        turn.tools += 1
        self._spans[str(record.get("id"))] = span
        arguments = record.get("arguments")
        given = arguments if isinstance(arguments, dict) else record.get("raw_arguments")
        self._file.emit("tool.call.started", {**_tool(record), "input": tool_input(given)},
                   span, turn.opened)  # fmt: skip

    def _on_returned(self, record: RecordDict) -> None:
        turn = self._open(record)
        span = self._spans.pop(str(record.get("id")), None) or f"tool-{self._tool_calls}"
        result = record.get("result")
        payload = _tool(record)
        if not isinstance(result, str) and result is not None:
            payload["value"] = result
        if record.get("ok", True):
            output = [] if result is None else [{"type": "text", "text": text_or_json(result)}]
            payload |= {"output": output, "truncated": False}
            self._file.emit("tool.call.finished", payload, span, turn.opened)
            return
        reason = "" if result is None else text_or_json(result)
        payload |= {"reason": reason, "recoverable": True}
        if isinstance(record.get("error_kind"), str):
            payload["error_kind"] = record["error_kind"]
        self._file.emit("tool.call.failed", payload, span, turn.opened)

    # --- the user, and whoever debugs

    def _on_decided(self, record: RecordDict) -> None:
        self._emit_own("decision", _fields(record, "side"))
        self._fold.count("decisions of the responder (in user.log events)")

    def _on_user_ended(self, record: RecordDict) -> None:
        payload = {"simulator": str(record.get("simulator", "")), "at_turn": max(self._index, 0)}
        for name in ("reason", "dropped_text", "sentinel"):
            if isinstance(record.get(name), str):
                payload[name] = record[name]
        span = f"turn-{self._index}" if self._index >= 0 else RUN
        self._file.emit("user.simulated.ended", payload, span, self._opened)

    def _on_edited(self, record: RecordDict) -> None:
        self._fold.count("edits in the debugger (the texts are those after them)")


def _fields(record: RecordDict, *also: str) -> dict[str, Any]:
    """What a record carries beside its envelope."""
    left = {"seq", "t", "type", *ENVELOPE} - set(also)
    return {key: value for key, value in record.items() if key not in left}


def _message(record: RecordDict) -> str:
    return str(as_object(record.get("error")).get("message") or "no reason is recorded")


def _tool(record: RecordDict) -> dict[str, Any]:
    return {"tool_name": str(record.get("name", "")), "tool_use_id": str(record.get("id", ""))}
