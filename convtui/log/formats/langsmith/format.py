"""Runs of LangSmith and of LangChain's tracers: a tree for each request, or the runs in a list.

What was said is read from the calls of models in it, each of which repeats what came before. Runs
belong together by the thread that their metadata name, or else by their trace. Messages are written
as LangChain serialises them, as OpenAI has them, or as text with a type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.chat.requests import threads
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.log.formats.langsmith.exchanges import exchange_of, has_messages, is_flat
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "langsmith"
_THREADS: Final = ("thread_id", "session_id", "conversation_id")
_DEPTH: Final = 100


def _is_value(value: Any) -> bool:
    if isinstance(value, list) and value:
        value = value[0]
    run = as_object(value)
    run = as_object(as_list(run.get("runs"))[0]) if as_list(run.get("runs")) else run
    return "run_type" in run and ("inputs" in run or "child_runs" in run)


def _chats(path: Path, damage: list[Finding]) -> Iterator[Chat]:
    roots: dict[str, list[Mapping[str, Any]]] = {}
    traces: dict[str, str] = {}
    runs: list[Mapping[str, Any]] = []
    for item in items(path, damage):
        value = item.value
        given = as_object(value).get("runs", value)
        for run in given if isinstance(given, list) else [given]:
            runs += _all(as_object(run))
    for run in runs:
        thread = _thread(run)
        if thread:
            traces.setdefault(_trace(run), thread)
    for run in runs:
        roots.setdefault(traces.get(_trace(run), _trace(run)), []).append(run)
    for key, of_thread in roots.items():
        yield from _of_thread(key, of_thread, path)


def _all(
    run: Mapping[str, Any], trace: str = "", depth: int = _DEPTH
) -> Iterator[Mapping[str, Any]]:
    """A run and those in it; each knows its trace."""
    trace = as_text(run.get("trace_id")) or trace or as_text(run.get("id"))
    if "run_type" in run:
        yield {**run, "trace_id": trace}
    for child in as_list(run.get("child_runs")) if depth else []:
        yield from _all(as_object(child), trace, depth - 1)


def _trace(run: Mapping[str, Any]) -> str:
    return as_text(run.get("trace_id"))


def _thread(run: Mapping[str, Any]) -> str:
    metadata = as_object(as_object(run.get("extra")).get("metadata"))
    return next((as_text(metadata[name]) for name in _THREADS if metadata.get(name)), "")


def _of_thread(key: str, runs: list[Mapping[str, Any]], path: Path) -> Iterator[Chat]:
    calls = [run for run in runs if run.get("run_type") in ("llm", "chat_model")]
    tops = [run for run in runs if not run.get("parent_run_id")]
    if not calls or (all(map(is_flat, calls)) and any(map(has_messages, tops))):
        # A chain may be all that was kept; some tracers keep of a call one text alone.
        calls = tops
    calls.sort(key=lambda run: as_text(run.get("start_time")))
    told = threads(exchange for run in calls if (exchange := exchange_of(run)) is not None)
    written = next((as_text(run["start_time"]) for run in calls if run.get("start_time")), "")
    for number, thread in enumerate(told, 1):
        yield Chat(
            NAME,
            path,
            partial(list, thread.messages),
            session_id=key,
            place=str(number) if len(told) > 1 else "",
            provider=as_text(runs[0].get("name")) or "assistant",
            model=thread.model,
            created=parse_time(written),
            created_from="start_time",
            created_zone=zone_of(written),
            details=drop_none({"runs": len(runs), "project": runs[0].get("session_name")}),
        )


FORMAT = ChatFiles("runs of LangSmith", _is_value, _chats).format(
    NAME, "runs of LangSmith and LangChain (.json, .jsonl)", ("run_type", "inputs", "child_runs")
)
