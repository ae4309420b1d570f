"""Logs of Inspect (`.json`, `.eval`): every sample in every epoch is a conversation.

Its messages are those at the end of the sample; when each was written, by which model and for how
many tokens is taken from the events of the model's calls, where they tell of the same message.
Texts that stand elsewhere in the file (attachments, content of old transcripts) are put in their
places. Scores, target and metadata are in the header under `imported`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from convtui.log.formats.chat.blocks import messages_of
from convtui.log.formats.chat.conversation import Chat, imported_all, unknown_ending
from convtui.log.formats.chat.messages import Message, plain
from convtui.log.formats.chat.records import Ending
from convtui.log.formats.inspect.files import SUFFIX, EvalLog, is_log, open_eval
from convtui.log.formats.json_objects import files_of
from convtui.log.formats.registry import Format, Imported
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "inspect"
_REFERENCES: Final = ("tc://", "attachment://")
_KEPT: Final = ("target", "scores", "metadata", "store", "files", "setup", "error", "limit", "uuid",
                "model_usage", "role_usage", "total_time", "working_time")  # fmt: skip
_LIMITS: Final = {"message": "max_turns", "token": "budget", "cost": "budget"}
_STOPS: Final = {"max_tokens": "length", "model_length": "length"}
_DEPTH: Final = 20


def detect(path: Path) -> bool:
    """Whether a file is a log of Inspect, or a folder holds some. Never raises."""
    return any(map(is_log, _candidates(path))) if path.is_dir() else is_log(path)


def _candidates(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*")
        if path.suffix.lower() in (".json", SUFFIX) and path.is_file()
    )  # fmt: skip


def files(path: Path) -> list[Path]:
    """The files that are read for a path. Raises `FileError` for a folder without any."""
    return files_of(path, _candidates, is_log, "logs of Inspect")


def read(path: Path) -> Iterator[Imported]:
    """The samples of a file, or of a folder's files in the order of their names.

    Raises `FileError` for what holds none.
    """
    for file in files(path):
        log = open_eval(file)
        yield from imported_all(_chats(log, file), file, log.damage)


def _chats(log: EvalLog, path: Path) -> Iterator[Chat]:
    run = as_object(log.header.get("eval"))
    about = {
        "task": run.get("task"),
        "run_id": run.get("run_id"),
        "status": log.header.get("status"),
        "dataset": as_object(run.get("dataset")).get("name"),
        "inspect": as_object(run.get("packages")).get("inspect_ai"),
    }
    for place, sample in log.samples:
        yield _chat(sample, place, path, run, about, finished=log.finished)


def _chat(
    sample: Mapping[str, Any],
    place: str,
    path: Path,
    run: Mapping[str, Any],
    about: Mapping[str, Any],
    *,
    finished: bool,
) -> Chat:
    events = _events(sample)
    began = parse_time(as_text(sample.get("started_at")))
    if began is None:
        times = (parse_time(as_text(event.get("timestamp"))) for event in events)
        began = next((at for at in times if at is not None), None)
    whence = "started_at" if sample.get("started_at") else "timestamp"
    if began is None:
        began, whence = parse_time(as_text(run.get("created"))), "created"
    texts = {**as_object(as_object(sample.get("transcript")).get("content")),
             **as_object(sample.get("attachments"))}  # fmt: skip
    conversation = _Sample(sample, place, _calls_of(events), texts)
    kept = {name: plain(_filled(sample[name], texts)) for name in _KEPT if name in sample}
    return Chat(
        NAME,
        path,
        conversation.messages,
        session_id=f"{run.get('run_id', '')}/{sample.get('id')}/{sample.get('epoch', 1)}",
        persona=as_text(run.get("task")) or "user",
        provider=as_text(run.get("model")) or "model",
        model=as_text(run.get("model")),
        created=began,
        created_from=whence,
        created_zone=zone_of(as_text(sample.get(whence) or run.get(whence))),
        ending=lambda: _ending(sample, finished=finished),
        details=drop_none(
            {**about, "sample": sample.get("id"), "epoch": sample.get("epoch"), **kept}
        ),
    )


def _events(sample: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a sample; old files have them inside `transcript`."""
    given = sample.get("events") or as_object(sample.get("transcript")).get("events")
    return [event for event in as_list(given) if isinstance(event, dict)]


@dataclass(slots=True)
class _Call:
    """What the event of a call of the model says about its reply."""

    at: float | None
    model: str
    usage: dict[str, Any] | None
    stop: str
    seconds: float | None
    data: dict[str, Any]
    """What is kept of it where its reply is no message."""


def _calls_of(events: list[dict[str, Any]]) -> dict[str, list[_Call]]:
    """The calls by the id of the message that came of them, else by its text."""
    calls: dict[str, list[_Call]] = {}
    for event in events:
        if event.get("event") != "model":
            continue
        output = as_object(event.get("output"))
        choice = as_object(next(iter(as_list(output.get("choices"))), None))
        message = as_object(choice.get("message"))
        began = parse_time(as_text(event.get("timestamp")))
        ended = parse_time(as_text(event.get("completed"))) or began
        seconds = event.get("working_time", output.get("time"))
        call = _Call(
            ended.timestamp() if ended is not None else None,
            as_text(output.get("model")) or as_text(event.get("model")),
            _usage(output.get("usage")),
            as_text(choice.get("stop_reason")),
            float(seconds) if isinstance(seconds, (int, float)) else None,
            drop_none(
                {
                    "model": event.get("model"),
                    "role": event.get("role"),
                    "message": plain(message) if message else None,
                    "usage": output.get("usage"),
                    "error": event.get("error") or output.get("error"),
                }
            ),
        )
        by_id, by_text = _keys_of(message)
        calls.setdefault(by_id or by_text, []).append(call)
    return calls


def _usage(given: Any) -> dict[str, Any] | None:
    usage = as_object(given)
    names = {
        "prompt_tokens": "input_tokens",
        "completion_tokens": "output_tokens",
        "cached_tokens": "input_tokens_cache_read",
        "reasoning_tokens": "reasoning_tokens",
    }
    known = {ours: usage.get(theirs) for ours, theirs in names.items()}
    return drop_none({n: v for n, v in known.items() if isinstance(v, int) and v >= 0}) or None


@dataclass(slots=True)
class _Sample:
    """A sample's messages, each with what the event of its call says."""

    data: Mapping[str, Any]
    place: str
    calls: dict[str, list[_Call]]
    texts: dict[str, Any] = field(default_factory=dict)

    def messages(self) -> Iterator[Message]:
        """They, in order, and calls whose replies are none of them as events between them."""
        calls = {key: list(of_message) for key, of_message in self.calls.items()}
        given = [_filled(item, self.texts) for item in as_list(self.data.get("messages"))]
        given = given or self._input()
        aside = self._aside(given)
        for index, value in enumerate(given):
            for message in messages_of(_spoken(value), f"{self.place}: messages[{index}]"):
                if message.role == "assistant":
                    self._add_call(message, value, calls)
                    while aside and message.at is not None and (aside[0].at or 0) < message.at:
                        yield aside.pop(0)
                elif message.role == "tool":
                    _failed(message)
                yield message
        yield from aside

    def _aside(self, given: list[Any]) -> list[Message]:
        """The calls that answered somebody else: a scorer, an agent that was used as a tool."""
        keys = {key for value in given for key in _keys_of(as_object(value))}
        calls = [call for key, made in self.calls.items() if key not in keys for call in made]
        return [
            Message(
                "",
                "",
                self.place,
                event="model",
                at=call.at,
                content=_filled(call.data, self.texts),
            )
            for call in sorted(calls, key=lambda call: call.at or 0)
        ]

    def _input(self) -> list[Any]:
        """What was to be said first, where nothing more came of it."""
        given = self.data.get("input")
        return given if isinstance(given, list) else [{"role": "user", "content": given}]

    def _add_call(self, message: Message, value: Any, calls: dict[str, list[_Call]]) -> None:
        data = as_object(value)
        keys = _keys_of(data)
        call = next((calls[key].pop(0) for key in keys if calls.get(key)), None)
        if call is None:
            message.model = as_text(data.get("model")) or None
            return
        message.at, message.usage, message.duration = call.at, call.usage, call.seconds
        message.model = call.model or None
        message.finish = _STOPS.get(call.stop, call.stop) or None


def _keys_of(message: Mapping[str, Any]) -> tuple[str, str]:
    """What the call that a message came of may be known by."""
    return as_text(message.get("id")), f"text {message.get('content')!r}"


def _spoken(value: Any) -> Any:
    """A message in OpenAI's words: a call has its name without a function there."""
    if not isinstance(value, Mapping):
        return value
    fields = dict(value)
    calls = []
    for call in as_list(fields.get("tool_calls")):
        given = as_object(call)
        name = given.get("function")
        function = (
            name
            if isinstance(name, Mapping)
            else {"name": name, "arguments": given.get("arguments")}
        )
        calls.append({"id": given.get("id"), "type": "function", "function": dict(function)})
    if calls:
        fields["tool_calls"] = calls
    if isinstance(fields.get("function"), str):
        fields["name"] = fields.pop("function")
    content = fields.get("content")
    if isinstance(content, list):
        fields["content"] = [
            {"type": "thinking", "thinking": part.get("reasoning")}
            if as_object(part).get("type") == "reasoning" else part
            for part in content
        ]  # fmt: skip
    return fields


def _failed(message: Message) -> None:
    error = message.more.pop("error", None)
    if isinstance(error, Mapping):
        message.failed = True
        message.more["error"] = dict(error)
        # It is what the model was told, where the tool said nothing.
        message.text = message.text or as_text(error.get("message"))


def _filled(value: Any, texts: Mapping[str, Any], depth: int = _DEPTH) -> Any:
    """A value with the texts that it refers to."""
    if isinstance(value, str):
        for prefix in _REFERENCES:
            if value.startswith(prefix):
                return texts.get(value.removeprefix(prefix), value)
        return value
    if not texts or not depth:
        return value
    if isinstance(value, Mapping):
        return {str(key): _filled(item, texts, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, texts, depth - 1) for item in value]
    return value


def _ending(sample: Mapping[str, Any], *, finished: bool) -> Ending:
    error, limit = as_object(sample.get("error")), as_object(sample.get("limit"))
    if error:
        reason = as_text(error.get("message")) or "the sample failed"
        if reason.startswith("CancelledError"):
            reason = "the run was cancelled"
            return Ending({"kind": "interrupted", "by": "harness", "reason": reason})
        return Ending({"kind": "failed", "by": "harness", "reason": reason})
    if limit:
        kind = as_text(limit.get("type"))
        most = limit.get("limit")
        size = f" {most:.15g}" if isinstance(most, (int, float)) else ""
        reason = f"the limit of the sample was reached: {kind}{size}"
        return Ending({"kind": _LIMITS.get(kind, "interrupted"), "by": "harness", "reason": reason})
    if not finished:
        reason = "the run was not finished; this sample was"
        return Ending({"kind": "completed", "by": "harness", "reason": reason})
    if "scores" in sample or "output" in sample:
        detail = drop_none({"scores": sample.get("scores")})
        reason = "the sample was completed"
        return Ending({"kind": "completed", "by": "harness", "reason": reason, "detail": detail})
    return unknown_ending()


FORMAT = Format(
    name=NAME,
    description="logs of Inspect (.json, .eval), single or a folder: a log for each sample",
    detect=detect,
    read=read,
    files=files,
    keys=("eval", "plan", "samples", "status", "stats"),
)
