"""Trajectories in the Agent Trajectory Interchange Format (ATIF) of Harbor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat, unknown_ending
from convtui.log.formats.chat.messages import Message, message_of, plain
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.chat.records import Ending
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.log.formats.registry import ParentIn
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "atif"
_ROLES: Final = {"user": "user", "agent": "assistant", "system": "system"}
_STEP: Final = frozenset(
    {
        "step_id", "timestamp", "source", "message", "model_name", "reasoning_content",
        "tool_calls", "observation", "metrics",
    }
)  # fmt: skip
_RESULT: Final = ("source_call_id", "content")
_APART: Final = ("steps", "session_id", "agent", "subagent_trajectories")
_METRICS: Final = {"prompt_tokens": "prompt_tokens", "completion_tokens": "completion_tokens",
                   "cached_tokens": "cached_tokens", "cost": "cost_usd"}  # fmt: skip


def _is_value(value: Any) -> bool:
    one = as_object(value)
    version = as_text(one.get("schema_version"))
    return version.startswith("ATIF") and isinstance(one.get("steps"), list)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    for item in items(path, damage):
        if _is_value(item.value):
            yield from _with_subagents(as_object(item.value), path)
        else:
            damage.append(Finding(path, "is no trajectory; left out", item.line))


def _with_subagents(
    data: dict[str, Any], path: Path, parent: ParentIn | None = None
) -> Iterator[Chat]:
    """A trajectory, and after it those of the agents that it has called."""
    chat = _chat(data, path, parent)
    yield chat
    given = [one for one in as_list(data.get("subagent_trajectories")) if _is_value(one)]
    if not given:
        return
    id_, _ = chat.identity()
    for one in given:
        below = ParentIn(NAME, chat.session_id, id=id_, kind="subagent")
        yield from _with_subagents(one, path, below)


def _chat(data: dict[str, Any], path: Path, parent: ParentIn | None) -> Chat:
    agent = as_object(data.get("agent"))
    steps = as_list(data.get("steps"))
    times = (as_text(as_object(step).get("timestamp")) for step in steps)
    written = next((time for time in times if time), "")
    rest = {str(k): plain(v) for k, v in data.items() if k not in _APART}
    session, own = as_text(data.get("session_id")), as_text(data.get("trajectory_id"))
    return Chat(
        NAME,
        path,
        partial(_messages, steps),
        session_id=session if parent is None else own or session,
        place="" if parent is None else own,
        provider=as_text(agent.get("name")) or "agent",
        model=as_text(agent.get("model_name")),
        created=parse_time(written),
        created_from="timestamp",
        created_zone=zone_of(written),
        ending=partial(_ending, as_object(data.get("final_metrics"))),
        details=drop_none({"agent": agent or None, **rest}),
        parent=parent,
    )


def _messages(steps: list[Any]) -> Iterator[Message]:
    for index, step in enumerate(steps):
        address = f"steps[{index}]"
        if not isinstance(step, Mapping):
            yield message_of(step, address)
            continue
        at = parse_time(as_text(step.get("timestamp")))
        seconds = at.timestamp() if at is not None else None
        source = as_text(step.get("source"))
        message = message_of(
            {"role": _ROLES.get(source, source), "content": step.get("message")}, address
        )
        message.at, message.id = seconds, step.get("step_id")
        message.more |= {str(k): plain(v) for k, v in step.items() if k not in _STEP}
        if message.role == "assistant":
            _add_reply(message, step)
        yield message
        observed = as_object(step.get("observation"))
        for result in map(as_object, as_list(observed.get("results"))):
            yield _observed(result, message)


def _observed(result: dict[str, Any], step: Message) -> Message:
    """What came back: from a tool, or from the world without anybody having called one."""
    call_id = as_text(result.get("source_call_id"))
    if not call_id and not step.calls:
        content = plain(drop_none(result))
        return Message("", "", step.address, event="observation", content=content, at=step.at)
    message = message_of({"role": "tool", "content": result.get("content")}, step.address)
    message.call_id, message.at = call_id, step.at
    message.more |= {str(k): plain(v) for k, v in result.items() if k not in _RESULT}
    return message


def _add_reply(message: Message, step: Mapping[str, Any]) -> None:
    message.reasoning = as_text(step.get("reasoning_content")) or None
    message.model = as_text(step.get("model_name")) or None
    for call in map(as_object, as_list(step.get("tool_calls"))):
        function = {"name": call.get("function_name"), "arguments": call.get("arguments")}
        id_ = call.get("tool_call_id")
        message.calls.append({"id": id_, "type": "function", "function": function})
    metrics = as_object(step.get("metrics"))
    known = {ours: metrics.get(theirs) for ours, theirs in _METRICS.items()}
    message.usage = {
        name: value for name, value in known.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    } or None  # fmt: skip


def _ending(final: Mapping[str, Any]) -> Ending:
    ending = unknown_ending()
    if final:
        ending.termination["detail"] = {"recorded": False, "final_metrics": dict(final)}
    return ending


FORMAT = ChatFiles("trajectories in ATIF", _is_value, _chats).format(
    NAME, "trajectories in ATIF (.json)", ("schema_version", "steps", "agent", "session_id")
)
