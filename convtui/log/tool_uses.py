"""The tool calls of a turn: each with everything that the log says about it, in call order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from convtui.log.detail import TurnDetail
from convtui.log.tool_arguments import decoded, distinct_ids
from convtui.records.codec import RecordDict

State = Literal["waiting", "open", "ok", "failed", "denied", "cancelled"]


@dataclass(slots=True)
class ToolUse:
    """One call that a model made of a tool, and what became of it."""

    id: str
    name: str
    round: int = 1
    max_rounds: int | None = None
    attempt: int = 1
    arguments: Any = None
    """Decoded; None where they cannot be, or are not on record."""
    raw_arguments: str = ""
    """As the model wrote them, or whoever edited them."""
    called: RecordDict | None = None
    returned: RecordDict | None = None
    denied: RecordDict | None = None
    approved: bool = False
    """Whether somebody approved it by hand."""
    edited: RecordDict | None = None
    """The `debug.edited` of its arguments."""
    result_edited: RecordDict | None = None
    """The `debug.edited` of its result, which the model was given as edited."""
    waiting: bool = False
    """Whether it is held: it has not run yet."""
    order: tuple[int, int] = (0, 0)

    @property
    def state(self) -> State:
        """`open` has no result on record: it runs, or the log ends in it."""
        if self.waiting:
            return "waiting"
        if self.denied is not None or self.error_kind == "tool_denied":
            return "denied"
        if self.returned is None:
            return "open"
        if self.returned.get("ok", True):
            return "ok"
        return "cancelled" if self.error_kind == "tool_cancelled" else "failed"

    @property
    def error_kind(self) -> str:
        """Which kind of error it came back with; empty without one."""
        back = self.returned or {}
        return "" if back.get("ok", True) else str(back.get("error_kind") or "failed")

    @property
    def error(self) -> tuple[str, str]:
        """An error's message and its detail, as the model was given them."""
        result = (self.returned or {}).get("result")
        if isinstance(result, Mapping):
            return str(result.get("message") or ""), str(result.get("detail") or "")
        return ("" if result is None else str(result)), ""

    @property
    def duration(self) -> float | None:
        """Seconds; None while there is no result."""
        duration = (self.returned or {}).get("duration")
        return float(duration) if isinstance(duration, (int, float)) else None

    @property
    def cut(self) -> int | None:
        """Characters of the whole result, where only its beginning is in the log; 0: unknown."""
        back = self.returned or {}
        if not back.get("truncated"):
            return None
        size = back.get("size")
        return size if isinstance(size, int) else 0

    @property
    def reused(self) -> bool:
        """Whether the result is from an earlier log: the call was not made again."""
        return bool((self.returned or {}).get("reused"))

    @property
    def seq(self) -> int | None:
        """The number of its `tool.returned`, under which a cut result is kept whole."""
        seq = (self.returned or {}).get("seq")
        return seq if isinstance(seq, int) else None


def tool_uses(detail: TurnDetail) -> list[ToolUse]:
    """Every tool call of a turn, by round and in the order in which the model made them."""
    places, made = _made(detail)
    uses: list[ToolUse] = []
    running: dict[str, ToolUse] = {}
    edits: dict[str, RecordDict] = {}
    approved: set[str] = set()
    for record in detail.records:
        kind = record.get("type")
        if kind == "debug.edited":
            what, _, name = str(record.get("field")).partition(":")
            if what == "result" and name:
                last = next((use for use in reversed(uses) if use.id == name), None)
                if last is not None:
                    last.result_edited = record
            else:
                edits[str(record.get("field"))] = record
            continue
        if kind not in ("tool.called", "tool.approved", "tool.denied", "tool.returned"):
            continue
        identity = str(record.get("id"))
        if kind == "tool.approved":
            approved.add(identity)
            continue
        use = running.get(identity)
        if use is None or kind != "tool.returned":
            use = running[identity] = _use(record, identity, places, made, len(uses))
            use.edited = edits.pop(identity, None)
            use.approved = identity in approved
            approved.discard(identity)
            uses.append(use)
        if kind == "tool.called":
            use.called = record
        elif kind == "tool.denied":
            use.denied = record
        else:
            use.returned = record
            del running[identity]
    # A call that was denied does not say how many rounds there may be.
    most = next((use.max_rounds for use in uses if use.max_rounds), None)
    for use in uses:
        use.max_rounds = use.max_rounds or most
    return sorted(uses, key=lambda use: (use.attempt, use.round, use.order))


def waiting_uses(drafts: Iterable[Any]) -> list[ToolUse]:
    """The calls that a hold at stage `tools` asks about."""
    waiting = []
    for draft in drafts:
        if not isinstance(draft, dict) or "tool" not in draft:
            continue
        text = str(draft.get("text") or "")
        most = draft.get("max_rounds")
        waiting.append(
            ToolUse(
                str(draft.get("field")),
                str(draft["tool"]),
                _count(draft.get("round")),
                most if isinstance(most, int) else None,
                arguments=decoded(text),
                raw_arguments=text,
                waiting=True,
            )
        )
    return waiting


def _use(
    record: RecordDict,
    identity: str,
    places: Mapping[tuple[Any, str], tuple[int, int]],
    made: Mapping[tuple[Any, str], str],
    count: int,
) -> ToolUse:
    key = (record.get("call"), identity)
    raw = str(record.get("raw_arguments") or made.get(key, ""))
    arguments = record.get("arguments")
    most = record.get("max_rounds")
    last = max((address[0] for address in places.values()), default=0)
    return ToolUse(
        identity,
        str(record.get("name") or ""),
        _count(record.get("round")),
        most if isinstance(most, int) else None,
        _count(record.get("attempt")),
        decoded(raw) if arguments is None else arguments,
        raw,
        order=places.get(key, (last, 1000 + count)),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1


def _made(
    detail: TurnDetail,
) -> tuple[dict[tuple[Any, str], tuple[int, int]], dict[tuple[Any, str], str]]:
    """Where each call stands among those that the model made, and the arguments it wrote."""
    places: dict[tuple[Any, str], tuple[int, int]] = {}
    made: dict[tuple[Any, str], str] = {}
    for number, call in enumerate(detail.calls):
        recorded = (call.response or {}).get("tool_calls")
        tool_calls = [given for given in recorded or () if isinstance(given, dict)]
        ids = distinct_ids([str(given.get("id") or "") for given in tool_calls])
        for index, (given, call_id) in enumerate(zip(tool_calls, ids, strict=True)):
            function = given.get("function")
            inner = function if isinstance(function, dict) else given
            key = (call.seq, call_id)
            places.setdefault(key, (number, index))
            made.setdefault(key, str(inner.get("arguments") or ""))
    return places, made
