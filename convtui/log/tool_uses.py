"""The tool calls of a turn with everything that the log records about them, in call order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from convtui.log.tool_arguments import decoded, distinct_ids
from convtui.records.codec import RecordDict

if TYPE_CHECKING:
    from convtui.log.detail import TurnDetail

State = Literal["waiting", "open", "ok", "failed", "denied", "cancelled"]


@dataclass(slots=True)
class ToolUse:
    """One tool call of a model, and its outcome."""

    id: str
    name: str
    round: int = 1
    max_rounds: int | None = None
    attempt: int = 1
    arguments: Any = None
    """Decoded; None when they are no JSON object or not recorded."""
    raw_arguments: str = ""
    """As the model wrote them, or as edited."""
    called: RecordDict | None = None
    returned: RecordDict | None = None
    denied: RecordDict | None = None
    approved: bool = False
    """Whether a human approved it."""
    edited: RecordDict | None = None
    """The `debug.edited` of its arguments."""
    result_edited: RecordDict | None = None
    """The `debug.edited` of its result; the model saw the edited one."""
    waiting: bool = False
    """Whether it is held and has not run yet."""
    order: tuple[int, int] = (0, 0)
    """Index of the model call in its turn, and of the tool call in that."""

    @property
    def state(self) -> State:
        """`open` means that no result is recorded: it runs, or the log ends there."""
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
        """The kind of error that it returned; empty without one."""
        returned = self.returned or {}
        return "" if returned.get("ok", True) else str(returned.get("error_kind") or "failed")

    @property
    def error(self) -> tuple[str, str]:
        """An error's message and detail, as the model saw them."""
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
        """Characters of the whole result, when the log has only its beginning; 0 if unknown."""
        returned = self.returned or {}
        if not returned.get("truncated"):
            return None
        size = returned.get("size")
        return size if isinstance(size, int) else 0

    @property
    def reused(self) -> bool:
        """Whether the result is from a parent log, and the call was not made again."""
        return bool((self.returned or {}).get("reused"))

    @property
    def seq(self) -> int | None:
        """The `seq` of its `tool.returned`, by which `whole_result()` finds the result."""
        seq = (self.returned or {}).get("seq")
        return seq if isinstance(seq, int) else None


def tool_uses(detail: TurnDetail) -> list[ToolUse]:
    """Every tool call of a turn, by attempt, round and call order."""
    requested = _requested(detail)
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
            use = running[identity] = _use(record, identity, requested, len(uses))
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
    # Records of denied calls do not have the maximum of rounds.
    max_rounds = next((use.max_rounds for use in uses if use.max_rounds), None)
    for use in uses:
        use.max_rounds = use.max_rounds or max_rounds
    return sorted(uses, key=lambda use: (use.attempt, use.round, use.order))


def waiting_uses(drafts: Iterable[Any]) -> list[ToolUse]:
    """The calls in the drafts of a hold at stage `tools`."""
    uses = []
    for draft in drafts:
        if not isinstance(draft, dict) or "tool" not in draft:
            continue
        text = str(draft.get("text") or "")
        max_rounds = draft.get("max_rounds")
        uses.append(
            ToolUse(
                str(draft.get("field")),
                str(draft["tool"]),
                _count(draft.get("round")),
                max_rounds if isinstance(max_rounds, int) else None,
                arguments=decoded(text),
                raw_arguments=text,
                waiting=True,
            )
        )
    return uses


@dataclass(slots=True)
class _RequestedCall:
    order: tuple[int, int]
    arguments: str


_Requested = dict[tuple[Any, str], _RequestedCall]
"""By the `seq` of the model call and the id of the tool call."""


def _use(record: RecordDict, identity: str, requested: _Requested, count: int) -> ToolUse:
    """The use that a record begins; `count` uses of the turn came before."""
    call = requested.get((record.get("call"), identity))
    raw = str(record.get("raw_arguments") or (call.arguments if call else ""))
    arguments = record.get("arguments")
    max_rounds = record.get("max_rounds")
    last = max((other.order[0] for other in requested.values()), default=0)
    return ToolUse(
        identity,
        str(record.get("name") or ""),
        _count(record.get("round")),
        max_rounds if isinstance(max_rounds, int) else None,
        _count(record.get("attempt")),
        decoded(raw) if arguments is None else arguments,
        raw,
        order=call.order if call else (last, 1000 + count),
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1


def _requested(detail: TurnDetail) -> _Requested:
    """The tool calls in the model's replies."""
    requested: _Requested = {}
    for number, call in enumerate(detail.calls):
        recorded = (call.response or {}).get("tool_calls")
        tool_calls = [item for item in recorded or () if isinstance(item, dict)]
        ids = distinct_ids([str(item.get("id") or "") for item in tool_calls])
        for index, (item, call_id) in enumerate(zip(tool_calls, ids, strict=True)):
            function = item.get("function")
            fields = function if isinstance(function, dict) else item
            requested.setdefault(
                (call.seq, call_id),
                _RequestedCall((number, index), str(fields.get("arguments") or "")),
            )
    return requested
