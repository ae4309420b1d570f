"""A responder's own session, read back from the records of a log."""

from __future__ import annotations

from typing import Any

from convtui.events import RecordDict
from convtui.models.base import Message, Reply, ToolCall
from convtui.simulators.decisions import decision_messages


class ResponderMemory:
    """Folds a responder's calls into what `ResponderSimulator.restore()` takes.

    An exchange belongs to the session once the turn it was made for was said.
    """

    def __init__(self) -> None:
        self.request: list[Message] = []
        """The messages of the last question."""
        self._open: dict[str, Any] | None = None
        self._kept: dict[str, Any] | None = None

    def as_data(self) -> dict[str, Any] | None:
        """`{messages, sent, heard, answered}`; None where there is no session."""
        return self._kept

    def seeded(self, data: Any, messages: Any) -> None:
        """What an earlier log left."""
        self._kept = None
        if isinstance(data, dict):
            self._kept = {**data, "messages": list(messages or ())}
        self.request = []

    def asked(self, record: RecordDict) -> None:
        """A question was put."""
        keep = int(record.get("keep") or 0) if record.get("base") is not None else 0
        self.request = [*self.request[:keep], *record.get("append", ())]
        self._open = None

    def answered(self, record: RecordDict) -> None:
        """The reply is there."""
        calls = [
            ToolCall(
                str(call.get("id", "")),
                str(call["function"]["name"]),
                str(call["function"].get("arguments", "")),
            )
            for call in record.get("tool_calls") or ()
        ]
        reply = Reply(text=str(record.get("raw") or ""), tool_calls=calls)
        self._open = {"messages": [*self.request, *decision_messages(reply)]}

    def decided(self, record: RecordDict) -> None:
        """What it decided; a human's word in its place does not change what it said itself."""
        if self._open is None or record.get("by") == "human":
            return
        if record.get("for_record") or record.get("kind") == "error":
            self._open = None
            return
        answer = (record.get("arguments") or {}).get("answer", "")
        self._open["answered"] = answer if isinstance(answer, str) else ""

    def said(self, record: RecordDict) -> None:
        """The persona's turn was said."""
        if self._open is None or "answered" not in self._open:
            return
        sent = int((self._kept or {}).get("sent", 0)) + 1
        self._kept = {
            "messages": self._open["messages"],
            "sent": sent,
            "heard": [int(record.get("session", 1)), int(record["turn"]) - 1],
            "answered": self._open["answered"],
        }
        self._open = None
