"""Writes a log as chat messages in OpenAI's form: a line of JSON for each session that was held.

Each line is `{"messages": [...]}`, as for fine-tuning and evals: the system prompt, the persona as
the user, the provider as the assistant with its calls, and their results.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.export_fold import (
    ExportFold,
    Round,
    is_provider,
    new_file,
    seeded_turns,
    system_prompt,
)
from convtui.log.formats.registry import Written
from convtui.log.reader import Log
from convtui.log.tool_arguments import distinct_ids
from convtui.records.codec import RecordDict
from convtui.records.interim import last_round
from convtui.records.values import as_list, as_object
from convtui.text.boundary import json_text

NAME: Final = "openai"
PLACED: Final = frozenset({"tool.called", "history.seeded"})
Message = dict[str, Any]
Keep = Callable[[int, int], bool]
"""Whether the turn with this session and number is written."""


def write(log: Log, out: Path) -> Written:
    """Writes one file below `out`, named after the log.

    Raises `FileError` when it is there already or cannot be written.
    """
    return write_file(log, out / f"{log.path.stem}.openai.jsonl")


def write_file(log: Log, path: Path, keep: Keep = lambda session, turn: True) -> Written:
    """Writes the turns that are to be kept into a file. Raises as `write()`."""
    export = _Export(log, keep)
    lines = list(export.lines())
    if not lines:
        raise FileError(f"{log.path}: nothing was said: there is nothing to export")
    with new_file(path) as file:
        file.write(b"".join(lines))
    return Written((path,), tuple(export.notes()))


class _Export:
    """The messages of a log, by session."""

    def __init__(self, log: Log, keep: Keep) -> None:
        self._fold = ExportFold(log, NAME, PLACED)
        self._keep = keep
        self._sessions: dict[int, list[Message]] = {}
        self._prompts: dict[int, str] = {}

    def lines(self) -> Iterator[bytes]:
        """What is to be written."""
        self._fold.run(
            {
                "history.seeded": self._on_seeded,
                "llm.request": self._on_request,
                "openai.system": self._on_system,
                "turn.committed": self._on_committed,
                "turn.skipped": self._on_unsaid,
                "session.ended": self._on_unsaid,
            }
        )
        for number, messages in self._sessions.items():
            prompt = self._prompts.get(number)
            system = [{"role": "system", "content": prompt}] if prompt is not None else []
            yield _line({"messages": [*system, *messages]})

    def notes(self) -> Iterator[str]:
        """What the format has no place for."""
        return self._fold.notes()

    def _messages(self, record: RecordDict) -> list[Message]:
        return self._sessions.setdefault(_session(record), [])

    # --- one method a record type

    def _on_request(self, record: RecordDict) -> None:
        if is_provider(record) and _session(record) not in self._prompts:
            prompt = system_prompt(self._fold.messages(record) or [])
            if prompt is not None:
                self._prompts[_session(record)] = prompt

    def _on_system(self, record: RecordDict) -> None:
        content = as_object(record.get("data")).get("content")
        if isinstance(content, str):
            self._prompts.setdefault(_session(record), content)

    def _on_seeded(self, record: RecordDict) -> None:
        for turn in seeded_turns(record):
            if self._kept(turn):
                role = "assistant" if turn.get("speaker") == "provider" else "user"
                self._messages(turn).append({"role": role, "content": last_round(turn)})

    def _on_committed(self, record: RecordDict) -> None:
        rounds = self._fold.take_rounds()
        if not self._kept(record):
            self._fold.count("turns outside the range left out")
            return
        text = last_round(record)
        if record.get("speaker") != "provider":
            self._messages(record).append({"role": "user", "content": text})
            return
        last = rounds[-1] if rounds else Round()
        answered = last.reply is not None and not last.after
        messages = self._messages(record)
        for round in rounds[:-1] if answered else rounds:
            messages += _round(round)
        messages.append({"role": "assistant", "content": text})
        thoughts = sum(bool((round.reply or {}).get("reasoning")) for round in rounds)
        self._fold.count("texts of reasoning left out", thoughts)

    def _on_unsaid(self, record: RecordDict) -> None:
        if self._fold.take_rounds():
            self._fold.count("turns without a reply left out")

    def _kept(self, record: RecordDict) -> bool:
        number = record.get("turn")
        return isinstance(number, int) and self._keep(_session(record), number)


def _round(round: Round) -> Iterator[Message]:
    """A reply that called tools, and the results."""
    reply = round.reply or {}
    called = {str(one.get("id")): one for one in round.after if one.get("type") == "tool.called"}
    results = [one for one in round.after if one.get("type") == "tool.returned"]
    # A call that was denied was never made: the reply alone has its arguments.
    asked = _asked(reply)
    ids = dict.fromkeys([*asked, *called, *(str(one.get("id")) for one in results)])
    names = {str(one.get("id")): str(one.get("name") or "") for one in [*results, *called.values()]}
    calls = [_call(one, names.get(one, ""), called.get(one), asked.get(one)) for one in ids]
    content = str(reply.get("raw") or "")
    message: Message = {"role": "assistant", "content": content or None}
    if calls:
        message["tool_calls"] = calls
    yield message
    for record in results:
        result = record.get("result")
        content = result if isinstance(result, str) else json_text(result, indent=None)
        yield {"role": "tool", "tool_call_id": str(record.get("id")), "content": content}


def _asked(reply: RecordDict) -> dict[str, tuple[str, str]]:
    """The calls in a reply: name and arguments by id."""
    items = [item for item in as_list(reply.get("tool_calls")) if isinstance(item, dict)]
    ids = distinct_ids([str(item.get("id") or "") for item in items])
    fields = [as_object(item.get("function")) or item for item in items]
    return {
        one: (str(field.get("name") or ""), _text(field.get("arguments")))
        for one, field in zip(ids, fields, strict=True)
    }


def _call(
    id: str, name: str, called: RecordDict | None, asked: tuple[str, str] | None
) -> dict[str, Any]:
    arguments = asked[1] if asked is not None else "{}"
    if called is not None:
        given = called.get("arguments")
        arguments = str(called.get("raw_arguments") or "") if given is None else _text(given)
    function = {"name": name or (asked[0] if asked is not None else ""), "arguments": arguments}
    return {"id": id, "type": "function", "function": function}


def _text(arguments: Any) -> str:
    return arguments if isinstance(arguments, str) else json_text(arguments or {}, indent=None)


def _line(data: dict[str, Any]) -> bytes:
    try:
        return json.dumps(data, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # Half of a surrogate pair: only an escape can say it.
        return json.dumps(data).encode() + b"\n"


def _session(record: RecordDict) -> int:
    number = record.get("session")
    return number if isinstance(number, int) else 1
