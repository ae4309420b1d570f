"""What a responder's reply decides, and what is wrong with it.

The rules are those of waza's responder: a decision is delivered by exactly one call of one of three
tools; an error outranks a decision, the first error is the one that counts, and nothing is ever
made up for what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from convtui.models.base import Message, Reply, ToolCall
from convtui.simulators.base import Decision

REPLY_TOOL: Final = "responder_reply"
STOP_TOOL: Final = "responder_stop"
ABSTAIN_TOOL: Final = "responder_abstain"
_NEEDED: Final = {REPLY_TOOL: "answer", STOP_TOOL: "", ABSTAIN_TOOL: "reason"}
_KINDS: Final = {REPLY_TOOL: "reply", STOP_TOOL: "stop", ABSTAIN_TOOL: "abstain"}


def _tool(name: str, description: str, argument: str = "", about: str = "") -> dict[str, Any]:
    properties = {argument: {"type": "string", "description": about}} if argument else {}
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if argument:
        parameters["required"] = [argument]
    parameters["additionalProperties"] = False
    function = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS: Final = (
    _tool(REPLY_TOOL, "The user answers.", "answer", "Exactly what the user says."),
    _tool(STOP_TOOL, "The user has what it came for, or nothing is left to say."),
    _tool(
        ABSTAIN_TOOL,
        "The brief does not tell what the user would answer.",
        "reason",
        "What the brief would have to say.",
    ),
)
"""The three tools in the form of chat APIs."""

JSON_FORM: Final = """\
You cannot call tools here. Write exactly one JSON object and nothing else, one of:
{"tool": "responder_reply", "arguments": {"answer": "..."}}
{"tool": "responder_stop", "arguments": {}}
{"tool": "responder_abstain", "arguments": {"reason": "..."}}"""


def classify(reply: Reply, *, as_json: bool = False) -> Decision:
    """The decision in a reply, or a decision of kind `error` that says why there is none.

    With `as_json` the calls are JSON objects in the text, for models without tools; the rules are
    the same.
    """
    calls = _written(reply.text) if as_json else [_called(call) for call in reply.tool_calls]
    # Calls of tools that were not offered decide nothing, but they are on record.
    judged: list[dict[str, Any]] = []
    first: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    for call in calls:
        wrong = _wrong(call, decided=first is not None)
        seen = {**call, "error": wrong} if wrong else call
        judged.append(seen)
        if wrong and error is None:
            error = seen
        elif not wrong and first is None:
            first = call
    several = tuple(judged) if len(judged) != 1 else ()
    if error is not None:
        return _decision("error", error, f"responder tool call invalid: {error['error']}", several)
    if first is None:
        return Decision("error", valid=False, reason="responder did not call a decision tool")
    arguments = first["arguments"]
    reason = arguments.get("reason") if first["tool"] == ABSTAIN_TOOL else None
    return _decision(_KINDS[first["tool"]], first, reason, several)


def _decision(
    kind: Any, call: dict[str, Any], reason: str | None, calls: Sequence[dict[str, Any]]
) -> Decision:
    return Decision(
        kind,
        tool=call["tool"],
        arguments=call.get("arguments"),
        raw_arguments=call.get("raw_arguments"),
        valid=kind != "error",
        reason=reason,
        calls=tuple(calls),
    )


def _called(call: ToolCall) -> dict[str, Any]:
    """A tool call with its arguments decoded, or as they were written where they cannot be."""
    found: dict[str, Any] = {"tool": call.name}
    if not call.arguments.strip():
        return {**found, "arguments": {}}
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return {**found, "raw_arguments": call.arguments, "undecoded": str(error)}
    if not isinstance(arguments, dict):
        what = f"an object was expected, not {type(arguments).__name__}"
        return {**found, "raw_arguments": call.arguments, "undecoded": what}
    return {**found, "arguments": arguments}


def _wrong(call: dict[str, Any], *, decided: bool) -> str | None:
    """Why a call is refused. Takes the working notes of decoding out of it."""
    tool = call["tool"]
    undecoded = call.pop("undecoded", None)
    if tool not in _NEEDED:
        return f"{tool} is no decision tool"
    if undecoded is not None:
        return f"decode {tool} arguments: {undecoded}"
    name = _NEEDED[tool]
    value = call["arguments"].get(name) if name else None
    if name and value is not None and not isinstance(value, str):
        return f"decode {tool} arguments: {name} is no text"
    if name and not (value or "").strip():
        return f"{tool} called with empty {name}"
    if decided:
        return f"responder called {tool} after a decision was already recorded"
    return None


def _written(text: str) -> list[dict[str, Any]]:
    """The JSON objects that stand in a text and name a tool; what is broken is one, too."""
    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    place = text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            if not found:
                tool = next((name for name in _NEEDED if name in text), "")
                if tool:
                    found.append({"tool": tool, "raw_arguments": text, "undecoded": str(error)})
            break
        if isinstance(value, dict) and isinstance(value.get("tool"), str):
            arguments = value.get("arguments", {})
            if isinstance(arguments, dict):
                found.append({"tool": value["tool"], "arguments": arguments})
            else:
                what = f"an object was expected, not {type(arguments).__name__}"
                raw = json.dumps(arguments)
                found.append({"tool": value["tool"], "raw_arguments": raw, "undecoded": what})
        place = text.find("{", end)
    return found


def decision_messages(reply: Reply) -> list[Message]:
    """A reply as it stands in the responder's session: with a result for every tool call."""
    if not reply.tool_calls:
        return [{"role": "assistant", "content": reply.text}]
    return [
        {
            "role": "assistant",
            "content": reply.text or None,
            "tool_calls": [call.as_message() for call in reply.tool_calls],
        },
        *(
            {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": "recorded"}
            for call in reply.tool_calls
        ),
    ]
