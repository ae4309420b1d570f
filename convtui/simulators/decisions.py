"""Reads a responder's decision from its reply, or what is wrong with it.

The rules are those of waza's responder: a decision is delivered by exactly one call of one of three
tools; an error outranks a decision, the first error counts, and nothing missing is ever made up.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any, Final

from convtui.models.base import Message, Reply, ToolCall
from convtui.models.calls import distinct
from convtui.simulators.base import Decision
from convtui.text_checks.reasoning import is_inside, reasoning_spans, without_reasoning

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

    With `as_json` the calls are JSON objects in the text, for models without tools: the last
    complete one that is a decision counts, wherever it is. Reasoning decides nothing.
    """
    if as_json:
        return _last(_written(reply.text))
    calls = [_called(call) for call in reply.tool_calls]
    # Calls of tools that were not offered decide nothing, but they are recorded.
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
    """A tool call with its arguments decoded, or raw if they cannot be."""
    data: dict[str, Any] = {"tool": call.name}
    if not call.arguments.strip():
        return {**data, "arguments": {}}
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        return {**data, "raw_arguments": call.arguments, "undecoded": str(error)}
    if not isinstance(arguments, dict):
        what = f"an object was expected, not {type(arguments).__name__}"
        return {**data, "raw_arguments": call.arguments, "undecoded": what}
    return {**data, "arguments": arguments}


def _wrong(call: dict[str, Any], *, decided: bool) -> str | None:
    """Why a call is refused, or None. Removes the key `undecoded` from it."""
    tool = call["tool"]
    undecoded = call.pop("undecoded", None)
    if tool not in _NEEDED:
        return f"{tool} is no decision tool"
    if undecoded is not None:
        return f"decode {tool} arguments: {undecoded}"
    name = _NEEDED[tool]
    value: Any = call["arguments"].get(name) if name else None
    if name and value is not None and not isinstance(value, str):
        return f"decode {tool} arguments: {name} is no text"
    if name and not without_reasoning(value or "").strip():
        thought = ": there is nothing in it but reasoning" if (value or "").strip() else ""
        return f"{tool} called with empty {name}{thought}"
    if decided:
        return f"responder called {tool} after a decision was already recorded"
    return None


def _last(calls: Sequence[dict[str, Any]]) -> Decision:
    """The decision among JSON objects in a text: the last one outside the reasoning.

    Those before it are only recorded.
    """
    judged: list[dict[str, Any]] = []
    for call in calls:
        wrong = None if call.get("inside") else _wrong(call, decided=False)
        judged.append({**call, "error": wrong} if wrong else call)
    several = tuple(judged) if len(judged) != 1 or judged[0].get("inside") else ()
    counting = [call for call in judged if not call.get("inside")]
    if not counting:
        thought = ": what it wrote stands inside its reasoning" if judged else ""
        reason = f"responder did not call a decision tool{thought}"
        return Decision("error", valid=False, reason=reason, calls=several)
    last = counting[-1]
    if last.get("error"):
        return _decision("error", last, f"responder tool call invalid: {last['error']}", several)
    why = last["arguments"].get("reason") if last["tool"] == ABSTAIN_TOOL else None
    return _decision(_KINDS[last["tool"]], last, why, several)


_DECODER: Final = json.JSONDecoder(strict=False)
"""Accepts a line break within a string: models write answers of two lines."""
_ARGUMENTS: Final = ("arguments", "parameters", "args", "input")
"""Keys under which models write the arguments; they may also stand beside the tool's name."""
_OF_A_CALL: Final = frozenset({"tool", "name", "type", "id"})
_BEGUN: Final = re.compile(r'\{\s*"(?:tool|name)"\s*:\s*"responder_')


def _written(text: str) -> list[dict[str, Any]]:
    """The JSON objects in a text that are decisions, in order.

    Other braces are skipped. An unreadable one that begins after the last complete one is
    included, too: the complete one was not the last decision.
    """
    thought = reasoning_spans(text)
    calls: list[dict[str, Any]] = []
    start = text.find("{")
    end = 0
    while start >= 0:
        after = start + 1
        try:
            value, stop = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            value, stop = None, after
        call = _decision_in(value)
        if call is not None:
            if is_inside(thought, start, stop):
                call["inside"] = "reasoning"
            calls.append(call)
            end = after = stop
        start = text.find("{", after)
    broken = next((match for match in _BEGUN.finditer(text, end)), None)
    if broken is not None and not is_inside(thought, broken.start(), broken.end()):
        calls.append(_unreadable(text, broken.start()))
    elif not calls and (tool := next((name for name in _NEEDED if name in text), "")):
        brace = text.find("{")
        if brace >= 0 and not is_inside(thought, brace, brace + 1):
            calls.append({**_unreadable(text, brace), "tool": tool})
    return calls


def _decision_in(value: Any) -> dict[str, Any] | None:
    """A JSON value as a call; None unless it is an object that names one of the three tools."""
    if not isinstance(value, dict):
        return None
    tool = value.get("tool", value.get("name"))
    if not isinstance(tool, str) or tool not in _NEEDED:
        return None
    beside = {name: item for name, item in value.items() if name not in _OF_A_CALL}
    arguments = next((value[name] for name in _ARGUMENTS if name in value), beside)
    if isinstance(arguments, str):
        # As in tool calls of chat APIs.
        with contextlib.suppress(ValueError, RecursionError):
            arguments = _DECODER.decode(arguments)
    if isinstance(arguments, dict):
        return {"tool": tool, "arguments": arguments}
    what = f"an object was expected, not {type(arguments).__name__}"
    return {"tool": tool, "raw_arguments": json.dumps(arguments), "undecoded": what}


def _unreadable(text: str, start: int) -> dict[str, Any]:
    tool = next((name for name in _NEEDED if text.find(name, start) >= 0), "")
    why = "it is no JSON"
    try:
        _DECODER.raw_decode(text, start)
    except ValueError as error:
        why = str(error)
    except RecursionError:
        why = "it nests too deep"
    return {"tool": tool, "raw_arguments": text, "undecoded": why}


def decision_messages(reply: Reply) -> list[Message]:
    """A reply as messages of the responder's session, with a result for every tool call."""
    if not reply.tool_calls:
        return [{"role": "assistant", "content": reply.text}]
    calls = distinct(reply.tool_calls)
    return [
        {
            "role": "assistant",
            "content": reply.text or None,
            "tool_calls": [call.as_message() for call in calls],
        },
        *(
            {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": "recorded"}
            for call in calls
        ),
    ]
