"""hermes' trajectories: conversations in ShareGPT's words, one a line, plain or packed with gzip.

Both spellings of a message are known (`from` and `value`, `role` and `content`). Reasoning, calls
and results are tags in the text; the text with its tags is the raw reply. A line that is none is
passed over and named.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.files.regular import open_regular
from convtui.log.formats.chat.messages import Message, message_of, plain, result_of, text_of
from convtui.log.formats.chat.records import Ending, MessageReader
from convtui.log.formats.findings import Finding, finding_of
from convtui.log.formats.hermes.sessions import PERSONA, PROVIDER
from convtui.log.formats.hermes.tags import parse_reply, response_of, responses_in
from convtui.log.formats.hermes.trajectory_export import PLAIN_ROLES, TRAJECTORY, write
from convtui.log.formats.json_objects import Line, file_time, head_of, kind_of, lines, values_in
from convtui.log.formats.registry import Format, Imported, Listed, imported_provider
from convtui.records.codec import Speaker
from convtui.records.models import Record
from convtui.records.times import parse_time, zone_of
from convtui.records.values import as_text

MAX_RATIO: Final = 200
FREE: Final = 64 << 20
"""A packed file may become `MAX_RATIO` times as large, and this many bytes in any case."""
_CONVERSATIONS: Final = re.compile(r'"conversations"\s*:\s*\[')
_OF_HERMES: Final = re.compile(
    r'"(completed|partial|api_calls|toolsets_used|tool_stats|prompt_index)"\s*:'
    r"|<(think|tool_call|tool_response|tools|REASONING_SCRATCHPAD)>"
)
"""Keys of a trajectory, or the tags in its texts."""
_ROLES: Final = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
    "function_call": "function_call",
}
_PREVIEW: Final = 80


def detect(path: Path) -> bool:
    """Whether a file looks like trajectories of hermes, by its beginning. Never raises.

    Conversations in the same words that nothing of hermes is in are of the format ShareGPT.
    """
    return may_be(path) and _OF_HERMES.search(_beginning(path)) is not None


def may_be(path: Path) -> bool:
    """Whether a file has conversations in these words, of whatever tool. Never raises."""
    return path.is_file() and _CONVERSATIONS.search(_beginning(path)) is not None


def _beginning(path: Path) -> str:
    name = path.name.lower()
    if name.endswith(".jsonl"):
        head = head_of(path, 1 << 18)
    elif name.endswith(".jsonl.gz"):
        try:
            with open_regular(path) as packed, gzip.open(packed) as file:
                head = file.read(1 << 18).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
        except (OSError, EOFError, zlib.error):
            return ""
    else:
        return ""
    return head.split("\n", 1)[0] if head.startswith("{") else ""


class Trajectories:
    """The conversations of a file; each is named by the number of its line."""

    damage: list[Finding]

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = []

    def close(self) -> None:
        """Nothing is open between two calls."""

    def listed(self) -> list[Listed]:
        """Every conversation, in the order of the file."""
        return [one.listed() for one in self._all()]

    def read(self, wanted: Collection[str] | None = None) -> Iterator[Imported]:
        """The conversations in the wanted lines, or all, in the order of the file."""
        for one in self._all():
            if wanted is None or str(one.line) in wanted:
                yield one.imported()

    def _all(self) -> Iterator[Trajectory]:
        any_read = False
        self.damage.clear()
        try:
            for line in _lines(self.path):
                values, findings = values_in(line, self.path)
                self.damage += findings
                for value in values:
                    where = f"{self.path}: line {line.number}"
                    try:
                        yield _trajectory(value, line.number, self.path, where)
                        any_read = True
                    except FileError as error:
                        self.damage.append(finding_of(error, self.path, line.number))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            message = f"the packed data is damaged here: {error}"
            self.damage.append(Finding(self.path, message, code="damaged"))
        if not any_read and not self.damage:
            raise FileError(f"{self.path}: there is no conversation in it")


def _lines(path: Path) -> Iterator[Line]:
    if not path.name.lower().endswith(".gz"):
        yield from lines(path)
        return
    try:
        allowed = max(FREE, path.stat().st_size * MAX_RATIO)
        open_regular(path).close()
        packed = gzip.open(path, "rb")  # noqa: SIM115
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from error
    yield from lines(path, io.BufferedReader(_Unpacked(packed, allowed, path), 1 << 16))


class _Unpacked(io.RawIOBase):
    """What a packed file holds, as far as it is not more than it can be trusted to be.

    `OSError` of the unpacking itself is passed on as `EOFError`: it is damage, and what came before
    it is good.
    """

    def __init__(self, packed: gzip.GzipFile, allowed: int, path: Path) -> None:
        self._packed, self._left, self._path = packed, allowed, path

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes. Raises `FileError` for more than are allowed."""
        try:
            # What came before damage is good: no more is unpacked at a time than is there.
            data = self._packed.read1(len(buffer))
        except gzip.BadGzipFile as error:
            raise EOFError(str(error)) from error
        self._left -= len(data)
        if self._left < 0:
            raise FileError(
                f"{self._path}: unpacks to more than {MAX_RATIO} times its size, which no"
                " trajectories do; unpack it by hand if it is to be trusted"
            )
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Closes the file as well."""
        self._packed.close()
        super().close()


@dataclass(slots=True)
class Trajectory:
    """One conversation. `messages` are in the words of a session's."""

    line: int
    path: Path
    data: dict[str, Any]
    messages: list[Message]
    spelling: str

    def listed(self) -> Listed:
        """As a list shows it."""
        first = next((m.text for m in self.messages if m.role == "user"), "")
        completed = self.data.get("completed")
        ended = "" if completed is None else "completed" if completed is True else "not completed"
        return Listed(
            id=str(self.line),
            title=first[:_PREVIEW],
            model=self._model,
            created_at=self._time,
            messages=len(self.messages),
            ended=ended,
        )

    @property
    def _model(self) -> str:
        return as_text(self.data.get("model"))

    @property
    def _time(self) -> datetime | None:
        return parse_time(as_text(self.data.get("timestamp")))

    def imported(self) -> Imported:
        """The conversation, ready to be written as a log."""
        digest = hashlib.sha256(b"hermes-trajectory\n")
        digest.update(json.dumps(self.data, sort_keys=True).encode())
        at = self._time
        details = {
            "format": TRAJECTORY,
            "created_at_from": "timestamp" if at is not None else "file's date",
            "created_at_zone": zone_of(as_text(self.data.get("timestamp"))),
            "line": self.line,
            "spelling": self.spelling,
            "trajectory": {n: plain(v) for n, v in self.data.items() if n != "conversations"},
            "keys": list(self.data),
        }
        spoke = [m.role for m in self.messages if m.role in ("user", "assistant", "tool")]
        first: Speaker = "provider" if spoke and spoke[0] != "user" else "persona"
        calls = self.data.get("api_calls")
        counted = isinstance(calls, int) and not isinstance(calls, bool) and calls > 0
        ending = Ending(_termination(self.data), None, {"provider": {"calls": calls}} if counted
                        else None)  # fmt: skip
        reader = MessageReader("hermes", "default", first)
        records: list[tuple[float, Record]] = list(reader.begin({}))
        for message in self.messages:
            records += reader.read(message)
        records += reader.end(ending)
        return Imported(
            id=digest.hexdigest()[:32],
            created_at=(at or file_time(self.path)).astimezone(UTC),
            persona=PERSONA,
            provider=imported_provider(PROVIDER, self._model),
            records=records,
            sources=[self.path],
            details={k: v for k, v in details.items() if v is not None},
            termination=ending.termination,
        )


def _termination(data: Mapping[str, Any]) -> dict[str, Any]:
    completed = data.get("completed")
    recorded = {name: data[name] for name in ("completed", "partial") if name in data}
    termination: dict[str, Any] = {"kind": "completed", "by": "harness", "detail": recorded}
    if completed is True:
        return {**termination, "reason": "the task was completed"}
    if completed is None:
        return {**termination, "detail": {"recorded": False}, "reason": "the file does not say why"}
    return {**termination, "kind": "interrupted", "reason": "the task was not completed"}


def _trajectory(data: Any, number: int, path: Path, where: str) -> Trajectory:
    if not isinstance(data, dict):
        raise FileError(f"{where}: must be an object, not {kind_of(data)}")
    given = data.get("conversations")
    if not isinstance(given, list):
        raise FileError(f"{where}: conversations must be a list, not {kind_of(given)}")
    messages: list[Message] = []
    spelling = "from"
    for index, item in enumerate(given):
        at = f"conversations[{index}]"
        if not isinstance(item, dict):
            messages.append(message_of(item, at, number))
            continue
        if "from" not in item and "role" in item:
            spelling = "role"
        who = item.get("from", item.get("role"))
        text = item.get("value", item.get("content"))
        if not isinstance(who, str):
            broken = Message("", "", at, number, content=text, more={"from": plain(who)})
            broken.problems.append(f"{at}: from must be text, not {kind_of(who)}")
            messages.append(broken)
            continue
        more = {k: v for k, v in item.items() if k not in ("from", "value", "role", "content")}
        content = None
        if not isinstance(text, str):
            text, content = text_of(text) if text is not None else "", text
        role = _ROLES.get(who, who)
        if who not in PLAIN_ROLES[spelling]:
            more["from"] = who
        if role == "tool" and messages and messages[-1].role == "tool":
            more["new_turn"] = True
        for message in _messages(role, text, at):
            message.line = number
            message.content = content
            message.more |= more
            more.pop("new_turn", None)
            messages.append(message)
    _name_calls(messages)
    return Trajectory(number, path, data, messages, spelling)


def _messages(role: str, text: str, address: str) -> Iterator[Message]:
    if role == "assistant":
        reply = parse_reply(text)
        parsed = Message(role, reply.text, address, raw=text, reasoning=reply.reasoning)
        parsed.problems += [f"{address}: {problem}" for problem in reply.problems]
        for call in reply.calls:
            function = {"name": call["name"], "arguments": call.get("arguments")}
            parsed.calls.append({"type": "function", "function": function})
        yield parsed
    elif role == "function_call":
        for message in _messages("assistant", f"<tool_call>\n{text}\n</tool_call>", address):
            message.more["value"] = text
            yield message
    elif role == "tool":
        yield from _results(text, address)
    else:
        yield Message(role, text, address)


def _results(text: str, address: str) -> list[Message]:
    results: list[Message] = []
    written: list[str] = []
    for call, name, content in responses_in(text):
        content_text = (
            content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        )
        results.append(Message("tool", content_text, address, call_id=call, name=name))
        written.append(response_of(call, name, result_of(content_text)[0]))
    if "\n".join(written) != text or not all(message.call_id for message in results):
        # With this it can be written again as it was.
        results[0].more["value"] = text
    return results


def _name_calls(messages: list[Message]) -> None:
    """Gives calls the ids of their results: by their names, or else by their order.

    Calls have no ids in these files. Those without a result, and results without a word of whose
    they are, are numbered.
    """
    number = 0
    for index, message in enumerate(messages):
        if not message.calls:
            continue
        after = index + 1
        results: list[Message] = []
        while after < len(messages) and messages[after].role == "tool":
            results.append(messages[after])
            after += 1
        for call in message.calls:
            name = call["function"]["name"]
            result = next((r for r in results if r.name == name), None)
            if result is None:
                result = next((r for r in results if not r.name), None)
            if result is not None:
                results.remove(result)
                result.call_id = result.call_id or f"call_{number}"
            call["id"] = result.call_id if result is not None else f"call_{number}"
            number += 1


FORMAT = Format(
    name=TRAJECTORY,
    description="hermes trajectories (.jsonl, .jsonl.gz)",
    detect=detect,
    read=lambda path: Trajectories(path).read(),
    write=write,
    source=Trajectories,
    keys=("conversations", "from", "value"),
)
