"""The provider's raw replies in a log, each with the recorded results of its hooks."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from convtui.errors import LogError
from convtui.files.regular import open_regular
from convtui.log.lines import MAX_LINE
from convtui.records.codec import FORMAT, MAJOR, RecordDict, decode
from convtui.records.fields import FieldChecker
from convtui.records.interim import Interim
from convtui.records.values import as_object
from convtui.text_checks.incomplete import reason_of

_UNNEEDED: Final = re.compile(
    # A line of a type that is not read here, or of another side than the provider's.
    rb'\{"seq":\d+,"t":[^,"]+,"type":"(?:(?!(?:header|history\.seeded|session\.started|session\.ended'
    rb"|turn\.started|llm\.response|debug\.edited|debug\.overrode|debug\.held|debug\.released"
    rb'|signals\.extracted|response\.processed|turn\.discarded|turn\.committed)")[^"]+"'
    rb'|[^"]+"(?:,"session":\d+)?(?:,"turn":\d+)?,"side":"(?!provider"))'
)
_CHUNK: Final = 1 << 20
_HOOKS: Final = frozenset({"extract_signals", "post_process_response", "should_discard_response"})


@dataclass(slots=True)
class RecordedReply:
    """One attempt at a provider's turn: its reply, the hooks' results, and the outcome."""

    session: int
    turn: int
    attempt: int
    raw: str = ""
    """The raw reply that went through the hooks, with edits."""
    rounds: list[RecordDict] = field(default_factory=list)
    """Its `llm.response` records: those that called tools, then the one that counts."""
    matches: list[dict[str, Any]] | None = None
    """The matches of stage `signals`; None when they are not recorded."""
    text: str | None = None
    """The result of `post_process_response`; None when it is not recorded."""
    discard: bool = False
    """The result of `should_discard_response`, before a human overrode it."""
    outcome: Literal["", "committed", "discarded", "failed"] = ""
    after_discard: str = ""
    """`end`, `retry` or `skip`, for a discarded reply."""
    human: bool = False
    seeded: bool = False
    """Whether it is from a parent log: `raw` is the committed text then."""
    judged: bool | None = None
    """The discard hook's result, when a human overrode it."""
    by_hand: list[str] = field(default_factory=list)
    """What a human changed: raw, text, discard, ending."""
    broken: str = ""
    """The hook that failed and holds."""
    supplied: str = ""
    """The hook that failed, and whose result a human supplied."""
    interim: list[Interim] = field(default_factory=list)
    """Text beside tool calls, with edits."""
    finished: int = -1
    """The number of the record that finished the attempt."""

    @property
    def incomplete(self) -> str:
        """Why the reply is incomplete; empty for a complete one."""
        last = self.rounds[-1] if self.rounds else {}
        return reason_of(last)

    @property
    def hook_failed(self) -> bool:
        return self.outcome == "failed" or bool(self.supplied)

    def note_change(self, what: str, record: RecordDict) -> None:
        """Notes that a human changed something, or undid that."""
        if what in self.by_hand:
            self.by_hand.remove(what)
        if record.get("undoes") is None:
            self.by_hand.append(what)

    @property
    def metadata(self) -> dict[str, Any]:
        return as_object(self.rounds[-1].get("metadata")) if self.rounds else {}


@dataclass(slots=True)
class RecordedReplies:
    """The replies of a log, for replaying it or running hooks over it again."""

    header: RecordDict = field(default_factory=dict)
    sessions: dict[int, RecordDict] = field(default_factory=dict)
    """`session.started` by session."""
    endings: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Terminations by session."""
    replies: list[RecordedReply] = field(default_factory=list)
    """Finished attempts, in order: committed, discarded, or failed in a hook."""
    damaged: int = 0
    """Lines that could not be read."""
    current: RecordedReply | None = None
    """The attempt in progress."""

    @property
    def knows_interim(self) -> bool:
        """Whether the log's version extracts signals from text beside tool calls, too."""
        major, _, minor = str(self.header.get("version", "")).partition(".")
        return (major, minor) != ("1", "0")

    def add(self, record: RecordDict) -> None:
        """Adds the next record; a malformed one is skipped and counted."""
        kind = record.get("type")
        handler = _HANDLERS.get(kind) if type(kind) is str else None
        if handler is None:
            return
        before = len(self.replies)
        try:
            handler(self, record)
        except (LookupError, TypeError, ValueError, AttributeError):
            self.damaged += 1
        if len(self.replies) > before and type(record.get("seq")) is int:
            self.replies[-1].finished = record["seq"]

    def _header(self, record: RecordDict) -> None:
        if not self.header:
            self.header = record

    def _seeded(self, record: RecordDict) -> None:
        for turn in record["turns"]:
            if turn["speaker"] == "provider":
                text = str(turn["text"])
                response = {"raw": text, "metadata": turn.get("metadata")}
                self.replies.append(
                    RecordedReply(
                        int(turn["session"]), int(turn["turn"]), 1, text, [response], None, text,
                        outcome="committed", seeded=True,
                    )
                )  # fmt: skip

    def _session_started(self, record: RecordDict) -> None:
        self.sessions[int(record["session"])] = record

    def _session_ended(self, record: RecordDict) -> None:
        termination = record.get("termination")
        if not isinstance(termination, dict):
            return
        self.endings[int(record["session"])] = termination
        detail = termination.get("detail")
        hook = detail.get("hook") if isinstance(detail, dict) else None
        if termination.get("kind") == "failed" and hook and termination.get("by") == "provider":
            self._finish("failed")
        self.current = None

    def _turn_started(self, record: RecordDict) -> None:
        self.current = None
        if record.get("speaker") == "provider":
            self.current = RecordedReply(
                int(record.get("session") or 1),
                int(record["turn"]),
                int(record.get("attempt") or 1),
                human=bool(record.get("human")),
            )

    def _reply_of(self, record: RecordDict) -> RecordedReply | None:
        """The attempt of a record; None for a call outside turns, such as a compression."""
        if record.get("side") != "provider" or record.get("turn") is None:
            return None
        address = (int(record.get("session") or 1), int(record["turn"]))
        if self.current is None or (self.current.session, self.current.turn) != address:
            self.current = RecordedReply(*address, int(record.get("attempt") or 1))
        return self.current

    def _response(self, record: RecordDict) -> None:
        reply = self._reply_of(record)
        if reply is not None:
            raw = record["raw"]
            if reply.rounds and reply.raw.strip() and reply.rounds[-1].get("tool_calls"):
                reply.interim.append(Interim(len(reply.rounds), reply.raw))
            reply.raw = raw
            reply.rounds.append(record)
            reply.matches = reply.text = reply.judged = None
            reply.by_hand = []
            reply.broken = reply.supplied = ""

    def _edited(self, record: RecordDict) -> None:
        reply = self._reply_of(record)
        if reply is None or not reply.rounds or record["field"] not in ("raw", "text"):
            return
        if record["field"] == "raw":
            reply.raw = record["after"]
            reply.judged = None
            reply.supplied = ""
        reply.note_change(str(record["field"]), record)

    def _overrode(self, record: RecordDict) -> None:
        what = record.get("what")
        if what == "ending" and self.current is None and self.replies:
            # The ending was that of a finished turn.
            reply: RecordedReply | None = self.replies[-1]
            address = (record.get("session"), record.get("turn"))
            if reply is not None and (reply.session, reply.turn) == address:
                reply.note_change("ending", record)
            return
        reply = self._reply_of(record) if what in ("discard", "ending") else None
        if reply is None:
            return
        if what == "discard" and reply.judged is None:
            reply.judged = bool(record.get("before"))
        reply.note_change(str(what), record)

    def _held(self, record: RecordDict) -> None:
        reply = self._reply_of(record) if record.get("reason") == "error" else None
        if reply is not None:
            error = record.get("error")
            hook = str(error.get("hook")) if isinstance(error, dict) else ""
            reply.broken = hook if hook in _HOOKS else ""

    def _released(self, record: RecordDict) -> None:
        reply = self.current
        if reply is not None and reply.broken and record.get("choice") == "supply":
            reply.supplied = reply.broken
        if reply is not None:
            reply.broken = ""

    def _signals(self, record: RecordDict) -> None:
        reply = self._reply_of(record)
        if reply is not None:
            reply.matches = [dict(match) for match in record["matches"]]

    def _processed(self, record: RecordDict) -> None:
        reply = self._reply_of(record)
        if reply is not None:
            reply.text = record["text"]

    def _discarded(self, record: RecordDict) -> None:
        reply = self._reply_of(record)
        if reply is None:
            return
        if reply.matches is None and isinstance(record.get("signals"), list):
            reply.matches = [dict(match) for match in record["signals"]]
        reply.text = record["text"] if reply.text is None else reply.text
        reply.discard = True
        reply.after_discard = str(record.get("outcome") or "")
        self._finish("discarded")

    def _committed(self, record: RecordDict) -> None:
        reply = self._reply_of(record)
        if reply is None:
            return
        if reply.text is None and not record.get("edited"):
            reply.text = record["text"]
        reply.human = reply.human or bool(record.get("human"))
        reply.discard = record.get("would_have") == "discard"
        self._finish("committed")

    def _finish(self, outcome: Literal["committed", "discarded", "failed"]) -> None:
        reply, self.current = self.current, None
        if reply is None or not reply.rounds or reply.human:
            return
        reply.outcome = outcome
        if reply.judged is not None:
            reply.discard = reply.judged
        self.replies.append(reply)


_HANDLERS: Final = {
    "header": RecordedReplies._header,
    "history.seeded": RecordedReplies._seeded,
    "session.started": RecordedReplies._session_started,
    "session.ended": RecordedReplies._session_ended,
    "turn.started": RecordedReplies._turn_started,
    "llm.response": RecordedReplies._response,
    "debug.edited": RecordedReplies._edited,
    "debug.overrode": RecordedReplies._overrode,
    "debug.held": RecordedReplies._held,
    "debug.released": RecordedReplies._released,
    "signals.extracted": RecordedReplies._signals,
    "response.processed": RecordedReplies._processed,
    "turn.discarded": RecordedReplies._discarded,
    "turn.committed": RecordedReplies._committed,
}


def collect_replies(records: Iterable[RecordDict]) -> RecordedReplies:
    """The replies among the records of a log."""
    replies = RecordedReplies()
    for record in records:
        replies.add(record)
    return replies


def read_replies(path: Path | str, until: int | None = None) -> RecordedReplies:
    """The replies of a log; lines that they do not need (requests, the persona) are not decoded.

    `until` is the last record that counts. Raises `LogError` for a file that is no log or cannot be
    read; damaged lines are counted.
    """
    path = Path(path)
    replies = RecordedReplies()
    try:
        with open_regular(path) as file:
            fields = FieldChecker()
            for line, record in _needed_records(file, replies):
                if not replies.header:
                    _check_header(path, record)
                if until is not None and _is_after(record, until):
                    break
                if any(fault.required for fault in fields.mend(record, line)):
                    replies.damaged += 1
                else:
                    replies.add(record)
    except OSError as error:
        raise LogError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not replies.header:
        raise LogError(f"{path}: this is no convtui log: it has no header")
    return replies


def _is_after(record: RecordDict, seq: int) -> bool:
    own = record.get("seq")
    return type(own) is int and own > seq


def _needed_records(file: BinaryIO, replies: RecordedReplies) -> Iterator[tuple[bytes, RecordDict]]:
    for lines in _lines(file):
        if not lines[-1].endswith(b"\n"):
            # Torn, or too long.
            replies.damaged += 1
            lines.pop()
        needed = [line for line in lines if not _UNNEEDED.match(line)]
        try:
            yield from zip(needed, _decode_all(needed), strict=True)
            continue
        except (ValueError, RecursionError):
            pass
        for line in needed:
            try:
                yield line, decode(line)
            except (ValueError, RecursionError):
                replies.damaged += 1


def _lines(file: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a file in batches; a line that is too long comes without its end."""
    if os.fstat(file.fileno()).st_size <= MAX_LINE:
        while lines := file.readlines(_CHUNK):
            yield lines
        return
    while line := file.readline(MAX_LINE):
        yield [line]
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE)


def _decode_all(lines: list[bytes]) -> list[RecordDict]:
    """Decodes lines all at once, which is faster. Raises ValueError when one is no record."""
    text = str(b",".join(lines), "utf-8", "surrogatepass")
    records: list[RecordDict] = json.loads(f"[{text}]")
    if len(records) != len(lines) or not all(type(record) is dict for record in records):
        raise ValueError("a line that is no record")
    return records


def _check_header(path: Path, record: RecordDict) -> None:
    if record.get("type") != "header" or record.get("format") != FORMAT:
        raise LogError(f"{path}: this is no convtui log: it does not begin with a header")
    major = str(record.get("version", "")).split(".", maxsplit=1)[0]
    if major.isdigit() and int(major) > MAJOR:
        raise LogError(f"{path}: written by a newer convtui: update convtui")
