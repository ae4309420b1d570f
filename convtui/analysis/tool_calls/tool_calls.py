"""The tool calls of a log with their results and outcomes, matched by id over the whole log.

A result may follow its call at any distance, as its own record or as a message of a later request.
Calls that were taken over from an earlier log and those of a responder, which are decisions, are
not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.analysis.tool_calls.outcomes import Outcome, outcome_of
from convtui.log.reader import Log
from convtui.log.run_summary import number
from convtui.log.tool_arguments import decoded
from convtui.log.tool_results import whole_result
from convtui.records.codec import RecordDict
from convtui.transcript.fold import INACTIVE, Transcript

_KINDS: Final = re.compile(
    rb'"type"\s*:\s*"(?:tool\.called|tool\.returned|tool\.denied|llm\.response)"'
)
_REQUESTS: Final = re.compile(rb'"type"\s*:\s*"llm\.request"')
_STATED: Final = frozenset({"oharness", "waza"})
"""Formats whose files state the outcome of a call; for the others `ok` is a guess."""


@dataclass(slots=True)
class MadeCall:
    """A tool call and its outcome. Texts and data are foreign and exact."""

    id: str
    name: str
    session: int
    turn: int | None
    seq: int
    """Of the record that contains the call."""
    arguments: Any = None
    """Decoded; None where they are not on record or cannot be decoded."""
    result: Any = None
    """Text or data; None without a result."""
    outcome: Outcome = field(default_factory=lambda: outcome_of("", None))
    seconds: float | None = None
    """Duration; None where it is not on record."""
    call: int | None = None
    """The `seq` of the request whose reply made it."""
    answered: bool = False
    ran: bool = False
    """Whether a record shows that it was executed, not only that the model requested it."""


class _CallCollector:
    """Matches calls with their results, record by record."""

    def __init__(self) -> None:
        self.made: list[MadeCall] = []
        self._unmatched: list[RecordDict] = []
        """Results without a call so far."""
        self._open: dict[str, list[MadeCall]] = {}

    def add_reply(self, record: RecordDict) -> None:
        """Adds the calls that a reply requests."""
        calls = record.get("tool_calls")
        if not isinstance(calls, list) or record.get("side") == "responder" or record.get("reused"):
            return
        for item in calls:
            function = item.get("function") if isinstance(item, dict) else None
            inner = function if isinstance(function, dict) else item
            if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
                continue
            raw = inner.get("arguments")
            arguments = decoded(raw) if isinstance(raw, str) else raw
            self._add(record, str(item.get("id") or ""), inner["name"], arguments)

    def add_call(self, record: RecordDict) -> None:
        """Adds the record of a call that runs or was denied, with or without a request for it."""
        identity = str(record.get("id") or "")
        call = self._find(record, identity, lambda call: not call.ran)
        arguments = record.get("arguments")
        if arguments is None:
            arguments = decoded(str(record.get("raw_arguments") or ""))
        if call is None:
            call = self._renamed(record, identity)
        if call is None:
            call = self._add(record, identity, str(record.get("name") or ""), arguments)
        call.ran = True
        call.arguments = arguments
        call.seq = _seq(record)

    def add_result(self, record: RecordDict, outcome: Outcome) -> None:
        """Adds a result that has its own record."""
        identity = str(record.get("id") or "")
        call = self._find(record, identity, lambda call: not call.answered)
        if call is None:
            if not record.get("reused"):
                self._unmatched.append({**record, "outcome": outcome})
            return
        self._answer(call, record, outcome)

    def settle(self) -> None:
        """Matches the results that came before their calls, and adds a call for the rest.

        To be called after the last record.
        """
        for record in self._unmatched:
            identity = str(record.get("id") or "")
            call = next((call for call in self._open.get(identity, ()) if not call.answered), None)
            if call is None:
                call = self._add(record, identity, str(record.get("name") or ""), None)
            self._answer(call, record, record["outcome"])
        self.made.sort(key=lambda call: call.seq)

    def add_message(self, message: Any) -> None:
        """Adds a result that the provider itself put into a later request."""
        if not isinstance(message, dict) or message.get("role") not in ("tool", "function"):
            return
        content = message.get("content")
        for call in self._open.get(str(message.get("tool_call_id") or ""), ()):
            if not call.answered and not call.ran and content is not None:
                call.result = content
                call.outcome = outcome_of(call.name, content)
                call.answered = True
                return

    @property
    def unanswered(self) -> bool:
        """Whether a call without a record of its execution has no result yet."""
        return any(not call.answered and not call.ran for call in self.made)

    def _add(self, record: RecordDict, identity: str, name: str, arguments: Any) -> MadeCall:
        session, turn, of = record.get("session"), record.get("turn"), record.get("call")
        made = MadeCall(
            identity,
            name,
            session if isinstance(session, int) else 1,
            turn if isinstance(turn, int) else None,
            _seq(record),
            arguments,
            call=of if isinstance(of, int) else None,
        )
        self.made.append(made)
        self._open.setdefault(identity, []).append(made)
        return made

    def _find(
        self, record: RecordDict, identity: str, wanted: Callable[[MadeCall], bool]
    ) -> MadeCall | None:
        """The `wanted` call with this id: that of the same reply, else the oldest one.

        Endpoints repeat their ids from reply to reply.
        """
        calls = [call for call in self._open.get(identity, ()) if wanted(call)]
        of = record.get("call")
        if isinstance(of, int):
            own = [call for call in calls if call.call == of]
            if own:
                return own[0]
            # Calls of another reply are no candidates.
            calls = [call for call in calls if call.call is None]
        return calls[0] if calls else None

    def _renamed(self, record: RecordDict, identity: str) -> MadeCall | None:
        """The call requested in the same reply whose id was missing or not unique there."""
        key = (record.get("session", 1), record.get("turn"), record.get("call"))
        for call in self.made:
            matches = (call.session, call.turn, call.call) == key
            renamed = not call.id or identity.startswith(f"{call.id}_")
            if matches and renamed and not call.ran and call.name == record.get("name"):
                self._open[call.id].remove(call)
                call.id = identity
                self._open.setdefault(identity, []).append(call)
                return call
        return None

    @staticmethod
    def _answer(call: MadeCall, record: RecordDict, outcome: Outcome) -> None:
        call.result = record.get("result")
        call.outcome = outcome
        call.answered = call.ran = True
        seconds = number(record.get("duration"))
        # Imported files without durations may have 0.
        if seconds is not None and seconds > 0:
            call.seconds = float(seconds)


def calls_of(log: Log) -> list[MadeCall]:
    """The tool calls of a log in the order in which they were made, including trivial tools.

    Blocking: one pass over the records, a second one over the requests where results are missing.
    Damaged records are skipped.
    """
    collector = _CallCollector()
    states = _states_outcomes(log.transcript.header)
    for record in _records(log, _KINDS):
        kind = record.get("type")
        if kind == "llm.response":
            collector.add_reply(record)
        elif kind == "tool.returned":
            collector.add_result(record, _outcome(log, record, states))
        else:
            collector.add_call(record)
    collector.settle()
    if collector.unanswered:
        for record in _records(log, _REQUESTS):
            messages = record.get("append")
            for message in messages if isinstance(messages, list) else ():
                collector.add_message(message)
    return _once(collector.made, log.transcript)


def _once(made: list[MadeCall], transcript: Transcript) -> list[MadeCall]:
    """The calls without duplicates: those of a compacted turn that are also in a kept one."""
    gone = {(turn.session, turn.number) for turn in transcript.turns if turn.status == INACTIVE}
    if not gone:
        return made
    kept = {_identity(call) for call in made if (call.session, call.turn) not in gone}
    return [
        call
        for call in made
        if (call.session, call.turn) not in gone or _identity(call) not in kept
    ]


def _identity(call: MadeCall) -> tuple[str, str, str]:
    return call.id, call.name, repr(call.arguments)


def _records(log: Log, kinds: re.Pattern[bytes]) -> Iterator[RecordDict]:
    return log.reader.single.range(0, len(log.transcript.offsets) - 1, kinds)


def _states_outcomes(header: Mapping[str, Any]) -> bool:
    """Whether the `ok` of a log's results was stated by the harness that made the calls."""
    if header.get("origin") != "import":
        return True
    imported = header.get("imported")
    return isinstance(imported, dict) and imported.get("format") in _STATED


def _outcome(log: Log, record: RecordDict, states: bool) -> Outcome:
    ok = record.get("ok")
    content = record.get("result")
    if record.get("truncated") and isinstance(content, str) and content[:1] == "{":
        # The field that states the outcome may be beyond the cut.
        seq = record.get("seq")
        content = (whole_result(log.path, seq) if isinstance(seq, int) else None) or content
    recorded = ok if isinstance(ok, bool) and states else None
    return outcome_of(str(record.get("name") or ""), content, recorded_ok=recorded)


def _seq(record: RecordDict) -> int:
    seq = record.get("seq")
    return seq if isinstance(seq, int) else 0
