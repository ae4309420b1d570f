"""Results of tau-bench and of tau2: every trial of a task is a conversation.

tau-bench writes a list of runs, each with its messages in `traj`; tau2 an object with
`simulations`, or a folder with one file for each. The simulated user ends a conversation with a
sentinel in its text, which stays there; tau2 also says why it ended. In tau2 a simulated user may
call tools: that is no turn, and kept as events. Voices stand in ticks, of which all that one side
says without a break is a turn. Rewards and tasks are in the header under `imported`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat, imported_all, unknown_ending
from convtui.log.formats.chat.messages import Message, message_of, plain
from convtui.log.formats.chat.records import Ending
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import first_value, whole
from convtui.log.formats.json_objects import files_of, kind_of
from convtui.log.formats.registry import Format, Imported
from convtui.log.formats.tau.ticks import call_of, messages_of_ticks
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "tau-bench"
RESULTS: Final = "results.json"
SIMULATIONS: Final = "simulations"
_SENTINELS: Final = ("###STOP###", "###TRANSFER###", "###OUT-OF-SCOPE###")
_STOPS: Final = {
    "user_stop": ("completed", "persona"),
    "agent_stop": ("completed", "provider"),
    "max_steps": ("max_turns", "harness"),
    "timeout": ("interrupted", "harness"),
    "too_many_errors": ("failed", "provider"),
    "agent_error": ("failed", "provider"),
    "user_error": ("failed", "simulator"),
    "infrastructure_error": ("failed", "harness"),
    "context_window_exceeded": ("failed", "provider"),
    "unexpected_error": ("failed", "harness"),
}


def detect(path: Path) -> bool:
    """Whether a file has results of either, or a folder does. Never raises."""
    folder = _beside(path)
    return any(map(_is_one, _candidates(folder))) if folder.is_dir() else _is_one(path)


def _beside(path: Path) -> Path:
    """The folder with the simulations that a file of results is about, if it has none itself."""
    beside = path.parent / SIMULATIONS
    if path.name != RESULTS or not beside.is_dir() or _is_one(path):
        return path
    return beside


def _is_one(path: Path) -> bool:
    value = first_value(path) if path.suffix.lower() == ".json" else None
    if isinstance(value, list):
        first = as_object(value[0]) if value else {}
        return isinstance(first.get("traj"), list) and "task_id" in first
    return _has_simulations(value) or _is_simulation(value)


def _has_simulations(value: Any) -> bool:
    given = as_object(value).get("simulations")
    return isinstance(given, list) and bool(given) and _is_simulation(given[0])


def _is_simulation(value: Any) -> bool:
    one = as_object(value)
    return "task_id" in one and ("termination_reason" in one or "reward_info" in one) and (
        isinstance(one.get("messages"), list) or isinstance(one.get("ticks"), list)
    )  # fmt: skip


def _candidates(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.json") if path.is_file())


def files(path: Path) -> list[Path]:
    """The files that are read for a path. Raises `FileError` for a folder without any."""
    return files_of(_beside(path), _candidates, _is_one, "results of tau-bench or tau2")


def read(path: Path) -> Iterator[Imported]:
    """The trials of a file, or of a folder's files in the order of their names.

    Raises `FileError` for what holds none.
    """
    for file in files(path):
        damage: list[Finding] = []
        yield from imported_all(_chats(file, damage), file, damage)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    data = whole(path)
    if isinstance(data, list):
        runs, key, about = data, "", {}
    elif _is_simulation(data):
        # A folder's results.json says what holds for all of its simulations.
        beside = path.parent.parent / RESULTS
        about = _about(whole(beside)) if beside.is_file() else {}
        runs, key = [data], ""
    else:
        runs, key = as_list(as_object(data).get("simulations")), "simulations"
        about = _about(data)
    for index, run in enumerate(runs):
        address = f"{key}[{index}]"
        if not isinstance(run, Mapping):
            damage.append(Finding(path, f"{address}: is no run, but {kind_of(run)}; left out"))
        elif isinstance(run.get("traj"), list):
            yield _trial(run, address, path)
        elif _is_simulation(run):
            yield _simulation(run, address, path, about)
        else:
            damage.append(Finding(path, f"{address}: has no messages; left out"))


def _about(results: Any) -> dict[str, Any]:
    """What holds for all simulations: models, domain, tasks by their ids."""
    info = as_object(as_object(results).get("info"))
    tasks = [as_object(task) for task in as_list(as_object(results).get("tasks"))]
    return {
        "agent": as_object(info.get("agent_info")),
        "user": as_object(info.get("user_info")),
        "domain": as_object(info.get("environment_info")).get("domain_name"),
        "tasks": {str(task.get("id")): task for task in tasks},
    }


# --- tau-bench


def _trial(run: Mapping[str, Any], address: str, path: Path) -> Chat:
    info = as_object(run.get("info"))
    rest = {str(name): plain(value) for name, value in run.items() if name not in ("traj", "info")}
    return Chat(
        NAME,
        path,
        lambda: _said(run["traj"], f"{address}: traj"),
        place=f"{run.get('task_id')}/{run.get('trial')}",
        persona=as_text(as_object(info.get("task")).get("user_id")) or "user",
        provider="agent",
        ending=lambda: _by_sentinel(run["traj"]),
        details={**rest, "info": info or None},
    )


def _said(given: list[Any], where: str) -> Iterator[Message]:
    for index, item in enumerate(given):
        yield message_of(item, f"{where}[{index}]")


def _by_sentinel(given: list[Any]) -> Ending:
    """The ending that the last word of the simulated user tells."""
    users = [as_object(item) for item in given if as_object(item).get("role") == "user"]
    last = as_text(users[-1].get("content")) if users else ""
    sentinel = next((sentinel for sentinel in _SENTINELS if sentinel in last), "")
    if not sentinel:
        return unknown_ending()
    reason = f"the simulated user ended it ({sentinel})"
    return Ending({"kind": "completed", "by": "simulator", "reason": reason, "signal": sentinel})


# --- tau2


def _simulation(run: Mapping[str, Any], address: str, path: Path, about: Mapping[str, Any]) -> Chat:
    agent, user = as_object(about.get("agent")), as_object(about.get("user"))
    kept = ("id", "task_id", "trial", "seed", "reward_info", "termination_reason", "agent_cost",
            "user_cost", "duration", "mode")  # fmt: skip
    created = parse_time(as_text(run.get("start_time")))
    ticks, policy = as_list(run.get("ticks")), as_text(run.get("policy"))
    where = f"{address}: ticks" if ticks else f"{address}: messages"
    return Chat(
        NAME,
        path,
        lambda: messages_of_ticks(ticks, where) if ticks else _exchanged(run, where),
        session_id=as_text(run.get("id")),
        place=f"{run.get('task_id')}/{run.get('trial')}",
        persona=f"{about.get('domain') or 'task'} {run.get('task_id')}",
        provider=as_text(agent.get("implementation")) or "agent",
        model=as_text(agent.get("llm")),
        created=created,
        created_from="start_time",
        created_zone=zone_of(as_text(run.get("start_time"))),
        kept={"system": {"content": policy}} if policy else {},
        ending=lambda: _ending(run),
        details=drop_none(
            {
                **{name: plain(run[name]) for name in kept if name in run},
                "user_model": user.get("llm"),
                "domain": about.get("domain"),
                "task": as_object(about.get("tasks")).get(str(run.get("task_id"))),
            }
        ),
    )


def _exchanged(run: Mapping[str, Any], where: str) -> Iterator[Message]:
    for index, item in enumerate(as_list(run.get("messages"))):
        address = f"{where}[{index}]"
        several = as_list(as_object(item).get("tool_messages"))
        for one in several or [item]:
            yield from _message(one, address)


def _message(item: Any, address: str) -> Iterator[Message]:
    if not isinstance(item, Mapping):
        yield message_of(item, address)
        return
    fields = dict(item)
    calls = [as_object(call) for call in as_list(fields.pop("tool_calls", None))]
    of_user = fields.get("requestor") == "user" or fields.get("role") == "user"
    usage, cost = as_object(fields.pop("usage", None)), fields.pop("cost", None)
    took = fields.pop("generation_time_seconds", None)
    raw = fields.pop("raw_data", None)
    if fields.get("role") == "tool":
        fields["tool_call_id"] = fields.pop("id", None)
    message = message_of(fields, address)
    if raw is not None:
        message.more["raw_data"] = plain(raw)
    if of_user and message.role == "tool":
        # What a tool of the simulated user has returned: nobody has said it.
        message.event, message.content = "user_tool_result", plain(dict(item))
        yield message
        return
    if of_user:
        if calls:
            yield Message("", "", address, event="user_tool_call", content=calls, at=message.at)
        if message.text or not calls:
            yield message
        return
    if message.role == "tool" and item.get("error") is True:
        message.failed = True
    if message.role == "assistant":
        message.calls = [call_of(call) for call in calls]
        figures = {name: usage.get(name) for name in ("prompt_tokens", "completion_tokens")}
        if isinstance(cost, (int, float)) and not isinstance(cost, bool) and cost >= 0:
            figures["cost"] = float(cost)
        message.usage = drop_none(figures) or None
        if isinstance(took, (int, float)) and not isinstance(took, bool) and took >= 0:
            message.duration = float(took)
        _add_raw(message, as_object(raw))
    yield message


def _add_raw(message: Message, raw: Mapping[str, Any]) -> None:
    """What the answer of the provider says beside the text, which differs with the provider."""
    said = as_object(raw.get("message"))
    blocks = as_list(raw.get("thinking_blocks")) or as_list(said.get("thinking_blocks"))
    thoughts = [as_text(as_object(block).get("thinking")) for block in blocks]
    told = as_text(said.get("reasoning_content")) or "\n".join(text for text in thoughts if text)
    message.reasoning = told or message.reasoning
    message.model = as_text(raw.get("model")) or None
    message.finish = as_text(raw.get("stop_reason")) or as_text(raw.get("finish_reason")) or None
    message.response_id = as_text(raw.get("id")) or None


def _ending(run: Mapping[str, Any]) -> Ending:
    reason = as_text(run.get("termination_reason"))
    if not reason:
        return unknown_ending()
    kind, by = _STOPS.get(reason, ("completed", "harness"))
    by = "simulator" if by == "persona" else by
    seconds = run.get("duration")
    return Ending(
        {"kind": kind, "by": by, "reason": reason.replace("_", " "), "detail": {"reason": reason}},
        float(seconds) if isinstance(seconds, (int, float)) and seconds >= 0 else None,
    )


FORMAT = Format(
    name=NAME,
    description="results of tau-bench and tau2 (.json), or a folder of tau2's simulations",
    detect=detect,
    read=read,
    files=files,
    keys=("task_id", "trial", "reward", "traj", "simulations", "termination_reason"),
)
