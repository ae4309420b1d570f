"""Every tool call of a log, with its result and how it went: matched by id over the whole log.

A result belongs to its call however far behind it stands, whether it is a record of its own or a
message of a later request. Calls that were taken over from an earlier log are not made again, and
those of a responder are decisions: neither is counted.
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
"""Formats whose files say of a call itself whether it went well; of the others it is a guess."""


@dataclass(slots=True)
class MadeCall:
    """A tool call that was made, and what came of it. Texts and data are foreign and exact."""

    id: str
    name: str
    session: int
    turn: int | None
    seq: int
    """Of the record in which it stands."""
    arguments: Any = None
    """Decoded; None where they cannot be, or are not on record."""
    result: Any = None
    """Text or data; None without one."""
    outcome: Outcome = field(default_factory=lambda: outcome_of("", None))
    seconds: float | None = None
    """How long it took."""
    call: int | None = None
    """The `seq` of the request whose reply made it."""
    answered: bool = False
    ran: bool = False
    """Whether there is a record of its beginning, not only of the model's wish."""


class _Calls:
    """Puts calls and results together while the records go by."""

    def __init__(self) -> None:
        self.made: list[MadeCall] = []
        self.loose: list[RecordDict] = []
        """Results of which no call has been seen."""
        self._open: dict[str, list[MadeCall]] = {}

    def wished(self, record: RecordDict) -> None:
        """A reply that calls tools."""
        calls = record.get("tool_calls")
        if not isinstance(calls, list) or record.get("side") == "responder" or record.get("reused"):
            return
        for each in calls:
            function = each.get("function") if isinstance(each, dict) else None
            inner = function if isinstance(function, dict) else each
            if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
                continue
            given = inner.get("arguments")
            arguments = decoded(given) if isinstance(given, str) else given
            self._add(record, str(each.get("id") or ""), inner["name"], arguments)

    def called(self, record: RecordDict) -> None:
        """A call that runs, or was denied: what a reply wished for, or one of its own."""
        identity = str(record.get("id") or "")
        found = self._find(record, identity, lambda call: not call.ran)
        arguments = record.get("arguments")
        if arguments is None:
            arguments = decoded(str(record.get("raw_arguments") or ""))
        if found is None:
            found = self._renamed(record, identity)
        if found is None:
            found = self._add(record, identity, str(record.get("name") or ""), arguments)
        found.ran = True
        found.arguments = arguments
        found.seq = _seq(record)

    def returned(self, record: RecordDict, outcome: Outcome) -> None:
        """A result that is a record."""
        identity = str(record.get("id") or "")
        call = self._find(record, identity, lambda call: not call.answered)
        if call is None:
            if not record.get("reused"):
                self.loose.append({**record, "outcome": outcome})
            return
        self._answer(call, record, outcome)

    def settle(self) -> None:
        """All records have gone by: results that came before their calls, or have none."""
        for record in self.loose:
            identity = str(record.get("id") or "")
            call = next((each for each in self._open.get(identity, ()) if not each.answered), None)
            if call is None:
                call = self._add(record, identity, str(record.get("name") or ""), None)
            self._answer(call, record, record["outcome"])
        self.made.sort(key=lambda call: call.seq)

    def message(self, message: Any) -> None:
        """A result that a provider put into a later request by itself."""
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
        """Whether a call that nobody saw running has no result."""
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
        """The call of this id: that of the same reply, else the oldest that is still open.

        Endpoints repeat their ids from reply to reply.
        """
        found = [call for call in self._open.get(identity, ()) if wanted(call)]
        of = record.get("call")
        if isinstance(of, int):
            own = [call for call in found if call.call == of]
            if own:
                return own[0]
            # One whose reply is known to be another is not meant.
            found = [call for call in found if call.call is None]
        return found[0] if found else None

    def _renamed(self, record: RecordDict, identity: str) -> MadeCall | None:
        """The wish of the same reply whose id was missing, or the same as another's."""
        where = (record.get("session", 1), record.get("turn"), record.get("call"))
        for call in self.made:
            at = (call.session, call.turn, call.call)
            named = not call.id or identity.startswith(f"{call.id}_")
            if named and not call.ran and call.name == record.get("name") and at == where:
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
        # Files of other tools do not say how long it took: zero is nobody's time.
        if seconds is not None and seconds > 0:
            call.seconds = float(seconds)


def calls_of(log: Log) -> list[MadeCall]:
    """The tool calls of a log in the order in which they were made, trivial tools included.

    Blocking, one pass over the records; damaged ones are passed over.
    """
    found = _Calls()
    states = _states_outcomes(log.transcript.header)
    for record in _records(log, _KINDS):
        kind = record.get("type")
        if kind == "llm.response":
            found.wished(record)
        elif kind == "tool.returned":
            found.returned(record, _outcome(log, record, states))
        else:
            found.called(record)
    found.settle()
    if found.unanswered:
        for record in _records(log, _REQUESTS):
            messages = record.get("append")
            for message in messages if isinstance(messages, list) else ():
                found.message(message)
    return _once(found.made, log.transcript)


def _once(made: list[MadeCall], transcript: Transcript) -> list[MadeCall]:
    """Without those that stand there twice: in a turn that was compacted, and in what was kept."""
    gone = {(turn.session, turn.number) for turn in transcript.turns if turn.status == INACTIVE}
    if not gone:
        return made
    kept = {_same(call) for call in made if (call.session, call.turn) not in gone}
    return [
        call for call in made if (call.session, call.turn) not in gone or _same(call) not in kept
    ]


def _same(call: MadeCall) -> tuple[str, str, str]:
    return call.id, call.name, repr(call.arguments)


def _records(log: Log, kinds: re.Pattern[bytes]) -> Iterator[RecordDict]:
    return log.reader.single.range(0, len(log.transcript.offsets) - 1, kinds)


def _states_outcomes(header: Mapping[str, Any]) -> bool:
    """Whether the `ok` of a log's results was stated by who made the calls."""
    if header.get("origin") != "import":
        return True
    told = header.get("imported")
    return isinstance(told, dict) and told.get("format") in _STATED


def _outcome(log: Log, record: RecordDict, states: bool) -> Outcome:
    ok = record.get("ok")
    content = record.get("result")
    if record.get("truncated") and isinstance(content, str) and content[:1] == "{":
        # What it says of itself may stand behind the cut.
        seq = record.get("seq")
        content = (whole_result(log.path, seq) if isinstance(seq, int) else None) or content
    recorded = ok if isinstance(ok, bool) and states else None
    return outcome_of(str(record.get("name") or ""), content, recorded_ok=recorded)


def _seq(record: RecordDict) -> int:
    seq = record.get("seq")
    return seq if isinstance(seq, int) else 0
