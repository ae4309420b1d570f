"""Runs of LangSmith and of LangChain's tracers: a tree for each request, or the runs in a list.

What was said is read from the calls of models in it, each of which repeats what came before. Runs
belong together by the thread that their metadata name, or else by their trace. Messages are written
as LangChain serialises them, as OpenAI has them, or as text with a type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.blocks import messages_of
from convtui.log.formats.chat.conversation import Chat
from convtui.log.formats.chat.messages import Message
from convtui.log.formats.chat.readers import ChatFiles
from convtui.log.formats.chat.requests import Exchange, threads
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import items
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "langsmith"
_ROLES: Final = {"human": "user", "ai": "assistant", "aimessagechunk": "assistant",
                 "chat": "user", "developer": "system"}  # fmt: skip
_THREADS: Final = ("thread_id", "session_id", "conversation_id")
_MODELS: Final = ("ls_model_name", "model", "model_name")
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


def _metadata(run: Mapping[str, Any]) -> dict[str, Any]:
    return as_object(as_object(run.get("extra")).get("metadata"))


def _thread(run: Mapping[str, Any]) -> str:
    metadata = _metadata(run)
    return next((as_text(metadata[name]) for name in _THREADS if metadata.get(name)), "")


def _of_thread(key: str, runs: list[Mapping[str, Any]], path: Path) -> Iterator[Chat]:
    calls = [run for run in runs if run.get("run_type") in ("llm", "chat_model")]
    # A chain alone may be all that was kept.
    calls = calls or [run for run in runs if not run.get("parent_run_id")]
    calls.sort(key=lambda run: as_text(run.get("start_time")))
    told = threads(exchange for run in calls if (exchange := _exchange(run)) is not None)
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


def _exchange(run: Mapping[str, Any]) -> Exchange | None:
    inputs, outputs = as_object(run.get("inputs")), as_object(run.get("outputs"))
    given = list(_given(inputs))
    answer = list(_answer(outputs))
    if not given and not answer:
        return None
    metadata = _metadata(run)
    parameters = as_object(as_object(run.get("extra")).get("invocation_params"))
    model = next((as_text(at[name]) for at in (metadata, parameters) for name in _MODELS
                  if at.get(name)), "")  # fmt: skip
    began, ended = (parse_time(as_text(run.get(f"{end}_time"))) for end in ("start", "end"))
    for message in answer[:1]:
        message.model = model or None
        message.usage = message.usage or _usage(as_object(outputs.get("llm_output")), run)
        _place(message, began, ended)
    return Exchange(given, answer, model)


def _place(message: Message, began: datetime | None, ended: datetime | None) -> None:
    if ended is not None:
        message.at = ended.timestamp()
        if began is not None:
            message.duration = max(0.0, (ended - began).total_seconds())


def _given(inputs: Mapping[str, Any]) -> Iterator[Message]:
    messages = inputs.get("messages", inputs.get("input", inputs.get("prompts")))
    listed = as_list(messages)
    if listed and isinstance(listed[0], list):
        # One list for each prompt of a batch: all but the first are other conversations.
        listed = listed[0]
    if isinstance(messages, str):
        listed = [{"role": "user", "content": messages}]
    for index, item in enumerate(listed):
        said = {"role": "user", "content": item} if isinstance(item, str) else item
        yield from _message(said, f"inputs.messages[{index}]")


def _answer(outputs: Mapping[str, Any]) -> Iterator[Message]:
    generations = as_list(outputs.get("generations"))
    first = generations[0] if generations else None
    first = first[0] if isinstance(first, list) and first else first
    if isinstance(first, Mapping):
        message = first.get("message")
        said = (
            message if message is not None else {"role": "assistant", "content": first.get("text")}
        )
        yield from _message(said, "outputs.generations")
        return
    choices = as_list(outputs.get("choices"))
    if choices:
        yield from _message(as_object(choices[0]).get("message"), "outputs.choices")
        return
    listed = as_list(outputs.get("messages"))
    last = listed[-1] if listed else outputs.get("output", outputs.get("message"))
    if isinstance(last, str):
        last = {"role": "assistant", "content": last}
    if last is not None:
        yield from _message(last, "outputs")


def _message(item: Any, address: str) -> Iterator[Message]:
    """A message in any of the three ways of writing one."""
    data = as_object(item)
    kwargs = as_object(data.get("kwargs")) or as_object(data.get("data"))
    if kwargs:
        ids = as_list(data.get("id"))
        named = as_text(ids[-1]).removesuffix("Message").removesuffix("MessageChunk") if ids else ""
        data = {"type": named or data.get("type"), **kwargs}
    kind = as_text(data.get("role")) or as_text(data.get("type"))
    role = _ROLES.get(kind.lower().removesuffix("message"), kind.lower().removesuffix("message"))
    calls = as_list(data.get("tool_calls")) or as_list(
        as_object(data.get("additional_kwargs")).get("tool_calls")
    )
    fields = {"role": role, "content": data.get("content"),
              "tool_call_id": data.get("tool_call_id"),
              "name": data.get("name") if role == "tool" else None}  # fmt: skip
    for message in messages_of(drop_none(fields), address):
        if message.role == "assistant":
            known = {as_text(call.get("id")) for call in message.calls}
            made = [_call(as_object(call)) for call in calls]
            message.calls += [call for call in made if as_text(call.get("id")) not in known]
            message.usage = _figures(as_object(data.get("usage_metadata")))
        yield message


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(call.get("function"), Mapping):
        return dict(call)
    function = {"name": call.get("name"), "arguments": call.get("args")}
    return {"id": call.get("id"), "type": "function", "function": function}


def _usage(output: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any] | None:
    return _figures(as_object(output.get("token_usage"))) or _figures(run)


def _figures(used: Mapping[str, Any]) -> dict[str, Any] | None:
    prompt = used.get("prompt_tokens", used.get("input_tokens"))
    completion = used.get("completion_tokens", used.get("output_tokens"))
    known = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {n: v for n, v in known.items() if isinstance(v, int) and v >= 0} or None


FORMAT = ChatFiles("runs of LangSmith", _is_value, _chats).format(
    NAME, "runs of LangSmith and LangChain (.json, .jsonl)", ("run_type", "inputs", "child_runs")
)
