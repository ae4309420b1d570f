"""A responder's own session, restored from the records of a log."""

from __future__ import annotations

from typing import Any

from convtui.models.base import Message, Reply, ToolCall
from convtui.records.models import RecordDict
from convtui.simulators.decisions import decision_messages


class ResponderMemory:
    """Folds a responder's calls into what `ResponderSimulator.restore()` takes.

    An exchange belongs to the session once the turn it was made for was said.
    """

    def __init__(self) -> None:
        self.request: list[Message] = []
        """The messages of the last call."""
        self._open: dict[str, Any] | None = None
        self._kept: dict[str, Any] | None = None
        self._spare: dict[str, Any] | None = None
        """The exchange at the cap, as long as it has no effect."""
        self._briefs: dict[str, str] = {}
        """The brief `in_force`, and the `scenario`'s that it was."""

    def as_data(self) -> dict[str, Any] | None:
        """`{messages, sent, heard, answered, briefs}`; None where there is no session."""
        changed = self._briefs.get("in_force") != self._briefs.get("scenario")
        if self._kept is None and not changed:
            return None
        return {"messages": [], **(self._kept or {}), "briefs": dict(self._briefs)}

    def anew(self) -> ResponderMemory:
        """A memory for the next session, which keeps only the brief in force."""
        fresh = ResponderMemory()
        fresh._briefs = dict(self._briefs)
        return fresh

    def began(self, scenario: Any) -> None:
        """Takes over the brief of the log's scenario."""
        persona = scenario.get("persona") if isinstance(scenario, dict) else None
        brief = (persona or {}).get("responder") if isinstance(persona, dict) else None
        text = brief.get("instructions") if isinstance(brief, dict) else None
        if isinstance(text, str):
            self._briefs = {"scenario": text, "in_force": text}

    def brief_edited(self, text: str) -> None:
        """Takes over a brief that was edited by hand."""
        self._briefs["in_force"] = text

    def seeded(self, data: Any, messages: Any) -> None:
        """Takes over the session from an earlier log."""
        self._kept = None
        self.request = []
        if not isinstance(data, dict):
            return
        kept = {**data, "messages": list(messages or ())}
        briefs = kept.pop("briefs", {})
        own = self._briefs.get("scenario")
        if briefs.get("in_force") and briefs.get("scenario") == own:
            self._briefs["in_force"] = briefs["in_force"]
        self._kept = kept if kept["messages"] else None

    def asked(self, record: RecordDict) -> None:
        """Notes the messages of a call."""
        keep = int(record.get("keep") or 0) if record.get("base") is not None else 0
        self.request = [*self.request[:keep], *record.get("append", ())]
        self._open = None

    def answered(self, record: RecordDict) -> None:
        """Notes the reply of a call."""
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
        """Notes a decision; one made by a human does not change what the responder said."""
        if record.get("by") == "human":
            return
        if self._open is None and record.get("kind") == "reply":
            # What it would have said at the cap is said after all.
            self._open, self._spare = self._spare, None
        if self._open is None:
            return
        if record.get("for_record") or record.get("kind") == "error":
            self._spare, self._open = self._open, None
            return
        answer = (record.get("arguments") or {}).get("answer", "")
        self._open["answered"] = answer if isinstance(answer, str) else ""

    def said(self, record: RecordDict) -> None:
        """Notes that the persona's turn was committed."""
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
