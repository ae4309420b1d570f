"""The tool rounds of a turn in progress, read back from the records of a log."""

from __future__ import annotations

from typing import Any

from convtui.engine.tools.base import as_text, denied
from convtui.models.base import Message, ToolCall
from convtui.models.calls import distinct
from convtui.records.models import RecordDict

_RESULT = ("ok", "result", "error_kind", "duration", "truncated", "size")


class ToolMemory:
    """Folds the records of a turn into what its tool rounds can be gone on with.

    The last reply that called tools stays open until the next reply is there: its results may be
    missing, some or all.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        """Of the rounds that are over."""
        self.reply: RecordDict | None = None
        """The `llm.response` whose calls are the open round."""
        self._begun: dict[str, str] = {}
        self._results: dict[str, dict[str, Any]] = {}

    def clear(self) -> None:
        """Another turn, or another attempt."""
        self.__init__()  # type: ignore[misc]

    def seeded(self, messages: list[Message], tools: Any) -> None:
        """What an earlier log left, for the reply that comes next."""
        self.clear()
        self.messages = messages
        if isinstance(tools, dict):
            self._begun = dict(tools.get("begun", {}))
            self._results = dict(tools.get("results", {}))

    def answered(self, record: RecordDict) -> None:
        """A reply is there."""
        if self.reply is not None:
            self.messages = self.all_messages()
            self._begun, self._results = {}, {}
        self.reply = record if record.get("tool_calls") else None

    def called(self, record: RecordDict) -> None:
        """A call has begun, with these arguments."""
        self._begun[str(record.get("id"))] = str(record.get("raw_arguments") or "")

    def was_denied(self, record: RecordDict) -> None:
        """A call was denied: that is its result, even where the log ends before it."""
        call = ToolCall(str(record.get("id")), str(record.get("name")))
        result = denied(call, str(record.get("reason") or ""))
        self._results.setdefault(
            call.id, {"ok": False, "result": result.body, "error_kind": result.error_kind}
        )

    def returned(self, record: RecordDict) -> None:
        """A result is there."""
        kept = {name: record[name] for name in _RESULT if record.get(name) is not None}
        kept["seq"] = record.get("seq")
        if record.get("reused"):
            kept["reused"] = record["reused"]
        self._results[str(record.get("id"))] = kept

    def edited(self, name: str, text: str) -> None:
        """A result was edited by hand before the model saw it; `name` is the call's id."""
        kept = self._results.get(name)
        if kept is not None:
            kept["result"] = text
            kept.pop("reused", None)

    def all_messages(self) -> list[Message]:
        """The messages of all rounds; of the open one only the calls that have a result."""
        if self.reply is None:
            return list(self.messages)
        calls = [call for call in self._calls() if call.id in self._results]
        if not calls:
            return list(self.messages)
        return [
            *self.messages,
            {
                "role": "assistant",
                "content": self.reply.get("raw") or None,
                "tool_calls": [call.as_message() for call in calls],
            },
            *(
                {
                    "role": "tool",
                    "tool_call_id": call.id,
                    "name": call.name,
                    "content": as_text(self._results[call.id].get("result")),
                }
                for call in calls
            ),
        ]

    def open_round(self, log: str) -> dict[str, Any] | None:
        """`{round, begun, results}` of the open round, for `Pending.tools`; `log` is the log's id.

        `begun` maps the ids of calls that were made to their arguments, `results` those of calls
        that came back to what they gave.
        """
        if self.reply is None:
            return None
        results = {}
        for name, kept in self._results.items():
            plain = {key: value for key, value in kept.items() if key != "seq"}
            results[name] = {"reused": {"log": log, "seq": kept.get("seq")}, **plain}
        return {
            "round": int(self.reply.get("round") or 1),
            "begun": dict(self._begun),
            "results": results,
        }

    def _calls(self) -> list[ToolCall]:
        assert self.reply is not None
        calls = distinct(calls_of(self.reply))
        for call in calls:
            call.arguments = self._begun.get(call.id, call.arguments)
        return calls


def calls_of(record: RecordDict) -> list[ToolCall]:
    """The tool calls of an `llm.response`."""
    return [
        ToolCall(str(call.get("id", "")), str(call["function"]["name"]),
                 str(call["function"].get("arguments", "")))
        for call in record.get("tool_calls") or ()
    ]  # fmt: skip
