"""Results of LangWatch's scenarios: a result with its messages, or the events of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.blocks import messages_of
from convtui.log.formats.chat.conversation import Chat, unknown_ending
from convtui.log.formats.chat.messages import Message, plain
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.chat.records import Ending
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.records.times import parse_time
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "langwatch"
_STARTED: Final = "SCENARIO_RUN_STARTED"
_SNAPSHOT: Final = "SCENARIO_MESSAGE_SNAPSHOT"
_FINISHED: Final = "SCENARIO_RUN_FINISHED"
_EVENTS: Final = (_STARTED, _SNAPSHOT, _FINISHED)
_CRITERIA: Final = ("passed_criteria", "failed_criteria", "passedCriteria", "failedCriteria")
_KEPT: Final = ("success", "reasoning", "verdict", "metCriteria", "unmetCriteria", "total_time",
                "agent_time", "totalTime", "agentTime", "name", "description",
                *_CRITERIA)  # fmt: skip


def _is_value(value: Any) -> bool:
    if isinstance(value, list) and value:
        value = value[0]
    one = as_object(value)
    return one.get("type") in _EVENTS or _is_result(one)


def _is_result(value: Any) -> bool:
    one = as_object(value)
    criteria = any(name in one for name in _CRITERIA)
    said = isinstance(one.get("messages"), list)
    return said and "success" in one and (
        criteria or "reasoning" in one
    )  # fmt: skip


@dataclass(slots=True)
class _Run:
    """What the events of a run have told; each snapshot holds all messages so far."""

    id: str
    messages: list[Any] = field(default_factory=list)
    times: list[float | None] = field(default_factory=list)
    """When each message was there first, in seconds since the epoch."""
    about: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    began: datetime | None = None
    status: str = ""


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    runs: dict[str, _Run] = {}
    for item in items(path, damage):
        values = item.value if isinstance(item.value, list) else [item.value]
        for index, value in enumerate(values):
            one = as_object(value)
            if one.get("type") in _EVENTS:
                _take(one, runs)
            elif _is_result(one):
                yield _chat(_Run("", as_list(one["messages"]), results=one), f"{index}", path)
            else:
                what = "is neither a result nor an event of a scenario; left out"
                damage.append(Finding(path, what, item.line))
    for run in runs.values():
        yield _chat(run, run.id, path)


def _take(event: Mapping[str, Any], runs: dict[str, _Run]) -> None:
    id_ = as_text(event.get("scenarioRunId"))
    run = runs.setdefault(id_, _Run(id_))
    run.began = run.began or _time(event.get("timestamp"))
    if event["type"] == _STARTED:
        ids = ("scenarioId", "batchRunId", "scenarioSetId")
        run.about = {**as_object(event.get("metadata")), **{n: event.get(n) for n in ids}}
    elif event["type"] == _SNAPSHOT:
        run.messages = as_list(event.get("messages"))
        at = _time(event.get("timestamp"))
        new = len(run.messages) - len(run.times)
        run.times += [None if at is None else at.timestamp()] * new
    else:
        run.status = as_text(event.get("status"))
        run.results = as_object(event.get("results"))


def _time(value: Any) -> datetime | None:
    """When an event was, in milliseconds since the epoch or as text."""
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e14:
        return None
    return datetime.fromtimestamp(value / 1000, UTC)


def _chat(run: _Run, place: str, path: Path) -> Chat:
    kept: dict[str, Any] = {n: plain(run.results[n]) for n in _KEPT if n in run.results}
    return Chat(
        NAME,
        path,
        partial(_messages, run),
        session_id=run.id,
        place=place,
        persona=as_text(run.about.get("name")) or "user",
        provider="agent",
        created=run.began,
        created_from="timestamp",
        ending=partial(_ending, run),
        details=drop_none({**run.about, **kept, "status": run.status or None}),
    )


def _messages(run: _Run) -> Iterator[Message]:
    for index, item in enumerate(run.messages):
        for message in messages_of(item, f"messages[{index}]"):
            if message.at is None and index < len(run.times):
                message.at = run.times[index]
            yield message


def _ending(run: _Run) -> Ending:
    verdict = as_text(run.results.get("verdict")) or run.status.lower()
    if not verdict and isinstance(run.results.get("success"), bool):
        verdict = "success" if run.results["success"] else "failure"
    if not verdict:
        return unknown_ending()
    reason = as_text(run.results.get("reasoning")) or f"the judge's verdict is {verdict}"
    if verdict == "error":
        return Ending({"kind": "failed", "by": "harness", "reason": reason})
    detail = {"verdict": verdict, "recorded": False}
    return Ending({"kind": "completed", "by": "harness", "reason": reason, "detail": detail})


FORMAT = ChatFiles("results of LangWatch's scenarios", _is_value, _chats).format(
    NAME,
    "results and events of LangWatch's scenarios (.json, .jsonl)",
    ("scenarioRunId", "messages", "success", "passed_criteria", "failed_criteria"),
)
