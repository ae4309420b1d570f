"""Results of promptfoo: every test of every prompt and provider is a conversation.

Where a simulated user took part the messages stand in `response.metadata.messages`; else they are
read out of the output, which separates turns by `---`, or the prompt and the output are one turn
each. Logs of production, a message with its session a line, are read as well. Grades, variables and
what the test was about are in the header under `imported`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat, unknown_ending
from convtui.log.formats.chat.messages import Message, message_of, plain
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.chat.records import Ending
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import Item, items
from convtui.log.formats.json_objects import kind_of
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "promptfoo"
_TURN: Final = re.compile(
    r"^\s*(?:\[Turn \d+\]\s*)?(user|assistant|agent|system)\s*:\s?", re.IGNORECASE
)
_BREAK: Final = "\n---\n"
_KEPT: Final = ("success", "score", "failureReason", "vars", "testIdx", "promptIdx", "namedScores",
                "gradingResult", "error")  # fmt: skip
_SAID_BY_LOG: Final = frozenset({"session_id", "role", "message"})


def _is_value(value: Any) -> bool:
    results = _results(value)
    return _is_log_row(value) or (bool(results) and _is_result(results[0]))


def _is_log_row(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) >= _SAID_BY_LOG


def _results(value: Any) -> list[Any]:
    """The results of a file: they are called `results`, and may stand in an object of that name."""
    inner = as_object(value).get("results")
    return (
        as_list(as_object(inner).get("results")) if isinstance(inner, Mapping) else as_list(inner)
    )


def _is_result(value: Any) -> bool:
    one = as_object(value)
    return "response" in one and ("prompt" in one or "vars" in one or "provider" in one)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    sessions: dict[str, list[Item]] = {}
    for item in items(path, damage):
        if _is_log_row(item.value):
            sessions.setdefault(str(item.value["session_id"]), []).append(item)
            continue
        for index, result in enumerate(_results(item.value)):
            address = f"results[{index}]"
            if _is_result(result):
                yield _result(result, address, path, as_object(item.value))
            else:
                what = f"{address}: is no result, but {kind_of(result)}; left out"
                damage.append(Finding(path, what, item.line))
    for session, rows in sessions.items():
        yield _session(session, rows, path)


# --- results


def _result(result: Mapping[str, Any], address: str, path: Path, file: Mapping[str, Any]) -> Chat:
    response = as_object(result.get("response"))
    provider = result.get("provider")
    named = as_object(provider)
    name = as_text(named.get("label")) or as_text(named.get("id")) or as_text(provider)
    inner = as_object(file.get("results"))
    written = as_text(inner.get("timestamp")) or as_text(file.get("timestamp"))
    messages = _messages(result, response, address)
    kept = {key: plain(result[key]) for key in _KEPT if result.get(key) is not None}
    vars = as_object(result.get("vars"))
    return Chat(
        NAME,
        path,
        partial(list, messages),
        session_id=as_text(as_object(response.get("metadata")).get("sessionId"))
        or as_text(result.get("id")),
        place=f"{result.get('testIdx')}/{result.get('promptIdx')}/{name}/{address}",
        persona=as_text(vars.get("persona")) or "user",
        provider=name or "provider",
        model=as_text(named.get("id")) or name,
        created=parse_time(written),
        created_from="timestamp",
        created_zone=zone_of(written),
        ending=partial(_ending, result, response),
        details=drop_none({"eval_id": file.get("evalId"), **kept}),
    )


def _messages(
    result: Mapping[str, Any], response: Mapping[str, Any], address: str
) -> list[Message]:
    given = as_object(response.get("metadata")).get("messages")
    if isinstance(given, list) and given:
        where = f"{address}: response.metadata.messages"
        return [message_of(item, f"{where}[{index}]") for index, item in enumerate(given)]
    output = response.get("output")
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    turns = _turns_in(text) if isinstance(output, str) else []
    if turns:
        where = f"{address}: response.output"
        return [Message(role, said, where) for role, said in turns]
    messages = list(_prompt(result, address))
    if output is not None:
        reply = Message("assistant", text, f"{address}: response.output")
        reply.usage = _usage(response)
        reply.duration = _seconds(result.get("latencyMs"))
        messages.append(reply)
    return messages


def _turns_in(text: str) -> list[tuple[str, str]]:
    """The turns of an output that is a conversation; none where it is just an answer."""
    turns: list[tuple[str, str]] = []
    for part in text.split(_BREAK):
        match = _TURN.match(part)
        if match is None:
            if not turns:
                return []
            # The separator stood in what was said.
            role, said = turns[-1]
            turns[-1] = (role, f"{said}{_BREAK}{part}")
            continue
        role = match[1].lower()
        turns.append(("assistant" if role == "agent" else role, part[match.end() :].strip()))
    return turns if len(turns) > 1 else []


def _prompt(result: Mapping[str, Any], address: str) -> Iterator[Message]:
    """What was asked: a text, or messages as a text of JSON."""
    prompt = result.get("prompt")
    raw = as_text(as_object(prompt).get("raw")) or as_text(prompt)
    try:
        decoded = json.loads(raw)
    except (ValueError, RecursionError):
        decoded = None
    if isinstance(decoded, list) and all(as_object(item).get("role") for item in decoded):
        for index, item in enumerate(decoded):
            yield message_of(item, f"{address}: prompt[{index}]")
    elif raw:
        yield Message("user", raw, f"{address}: prompt")


def _usage(response: Mapping[str, Any]) -> dict[str, Any] | None:
    used = as_object(response.get("tokenUsage"))
    figures = {"prompt_tokens": used.get("prompt"), "completion_tokens": used.get("completion"),
               "cost": response.get("cost")}  # fmt: skip
    known = {
        name: value for name, value in figures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    }  # fmt: skip
    return known or None


def _seconds(milliseconds: Any) -> float | None:
    is_number = isinstance(milliseconds, (int, float)) and not isinstance(milliseconds, bool)
    return milliseconds / 1000 if is_number and 0 <= milliseconds < 1e12 else None


def _ending(result: Mapping[str, Any], response: Mapping[str, Any]) -> Ending:
    error = as_text(result.get("error")) or as_text(response.get("error"))
    stopped = as_text(as_object(response.get("metadata")).get("stopReason"))
    if error and response.get("output") is None:
        return Ending({"kind": "failed", "by": "provider", "reason": error})
    if stopped:
        kind = "max_turns" if "max" in stopped.lower() else "completed"
        return Ending({"kind": kind, "by": "harness", "reason": stopped})
    if isinstance(result.get("success"), bool):
        detail = {"success": result["success"], "score": result.get("score"), "recorded": False}
        reason = "the test passed" if result["success"] else "the test failed"
        return Ending({"kind": "completed", "by": "harness", "reason": reason, "detail": detail})
    return unknown_ending()


# --- logs of production


def _session(session: str, rows: list[Item], path: Path) -> Chat:
    written = as_text(rows[0].value.get("timestamp"))
    return Chat(
        NAME,
        path,
        lambda: (_row(row) for row in rows),
        session_id=session,
        created=parse_time(written),
        created_from="timestamp",
        created_zone=zone_of(written),
        details={"line": rows[0].line},
    )


def _row(row: Item) -> Message:
    fields = {name: value for name, value in row.value.items() if name != "session_id"}
    fields["content"] = fields.pop("message")
    return message_of(fields, row.address, row.line)


FORMAT = ChatFiles("results of promptfoo", _is_value, _chats).format(
    NAME,
    "results of promptfoo (.json), and logs with a message and its session a line",
    ("evalId", "results", "prompts", "response", "vars", "gradingResult"),
)
