"""Conversations of DeepEval: test cases, goldens and simulated ones, each a list of `turns`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat, unknown_ending
from convtui.log.formats.chat.messages import Message, message_of, plain, text_of_result
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.chat.records import Ending
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.log.formats.json_objects import kind_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "deepeval"
_LISTS: Final = ("conversationalTestCases", "conversational_test_cases", "testCases", "test_cases",
                 "conversational_goldens", "conversationalGoldens", "goldens")  # fmt: skip
_ABOUT: Final = ("scenario", "expectedOutcome", "expected_outcome", "userDescription",
                 "user_description", "chatbotRole", "chatbot_role", "metricsData", "metrics_data",
                 "success", "name", "context", "tags", "additional_metadata", "metadata",
          "comments", "expectations")  # fmt: skip
_TURN: Final = frozenset(
    {
        "role", "content", "tools_called", "toolsCalled", "mcp_tools_called", "mcpToolsCalled",
        "order",
    }
)  # fmt: skip
_DEPTH: Final = 4


def _is_value(value: Any) -> bool:
    return next(_cases(value, "", _DEPTH), None) is not None


def _cases(value: Any, address: str, depth: int) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The conversations in a value, wherever a file of DeepEval has them."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _cases(item, f"{address}[{index}]", depth)
        return
    case = as_object(value)
    if _is_case(case):
        yield case, address
    elif depth:
        inner = [name for name in (*_LISTS, "testRunData", "test_run_data") if name in case]
        for name in inner:
            yield from _cases(case[name], f"{address}.{name}".lstrip("."), depth - 1)


def _is_case(case: Mapping[str, Any]) -> bool:
    turns = case.get("turns")
    if not isinstance(turns, list) or not turns:
        return False
    first = as_object(turns[0])
    return first.get("role") in ("user", "assistant") and "content" in first


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    for item in items(path, damage):
        found = False
        for case, address in _cases(item.value, "", _DEPTH):
            found = True
            turns = as_list(case.get("turns"))
            yield Chat(
                NAME,
                path,
                partial(_messages, turns, f"{address}.turns".lstrip(".")),
                place=f"{address} {item.line or ''}",
                persona=as_text(case.get("userDescription") or case.get("user_description"))
                or as_text(case.get("name"))
                or "user",
                provider=as_text(case.get("chatbotRole") or case.get("chatbot_role"))
                or "assistant",
                ending=partial(_ending, case),
                details=drop_none({name: plain(case.get(name)) for name in _ABOUT}),
            )
        if not found:
            what = f"is {kind_of(item.value)} without turns; left out"
            damage.append(Finding(path, what, item.line))


def _messages(turns: list[Any], where: str) -> Iterator[Message]:
    number = 0
    for index, turn in enumerate(turns):
        address = f"{where}[{index}]"
        if not isinstance(turn, Mapping):
            yield message_of(turn, address)
            continue
        message = message_of({"role": turn.get("role"), "content": turn.get("content")}, address)
        message.more |= {str(k): plain(v) for k, v in turn.items() if k not in _TURN}
        took = message.more.pop("latency_ms", message.more.pop("latencyMs", None))
        if isinstance(took, (int, float)) and not isinstance(took, bool) and took >= 0:
            message.duration = took / 1000
        tools = _tools_of(turn)
        if not tools or message.role != "assistant":
            yield message
            continue
        # The turn is what was said after its tools had returned.
        calling = Message("assistant", "", address, settled=True)
        results = []
        for tool in tools:
            number += 1
            id_ = f"call_{number}"
            function = {"name": tool.name, "arguments": tool.given}
            calling.calls.append({"id": id_, "type": "function", "function": function})
            if tool.output is not None:
                text = text_of_result(tool.output)
                results.append(Message("tool", text, address, call_id=id_))
        yield calling
        yield from results
        yield message


@dataclass(slots=True)
class _Tool:
    """A tool that was called in a turn."""

    name: Any
    given: Any
    output: Any


def _tools_of(turn: Mapping[str, Any]) -> list[_Tool]:
    own = as_list(turn.get("tools_called") or turn.get("toolsCalled"))
    of_servers = as_list(turn.get("mcp_tools_called") or turn.get("mcpToolsCalled"))
    return [
        *(
            _Tool(
                t.get("name"), t.get("input_parameters", t.get("inputParameters")), t.get("output")
            )
            for t in map(as_object, own)
        ),
        *(_Tool(t.get("name"), t.get("args"), t.get("result")) for t in map(as_object, of_servers)),
    ]


def _ending(case: Mapping[str, Any]) -> Ending:
    if not isinstance(case.get("success"), bool):
        return unknown_ending()
    reason = "the test passed" if case["success"] else "the test failed"
    detail = {"success": case["success"], "recorded": False}
    return Ending({"kind": "completed", "by": "harness", "reason": reason, "detail": detail})


FORMAT = ChatFiles("conversations of DeepEval", _is_value, _chats).format(
    NAME,
    "conversations of DeepEval: test cases, test runs and goldens (.json)",
    ("turns", "scenario", "expectedOutcome", "conversationalTestCases", "userDescription"),
)
