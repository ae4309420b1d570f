"""Sessions of Claude Code: a row of JSON for each message and event, by no published schema.

The rows of a session are a tree: where a prompt was edited, or a reply asked for again, the way
that was left is a log of its own with the other as its parent. Rows of a helper's conversation
(`isSidechain`) are logs, too. One reply of the model stands in several rows, a block in each: they
are one reply here, and its usage counts once. What is of no known type is kept as an event.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.errors import FileError
from convtui.log.formats.chat.blocks import messages_of
from convtui.log.formats.chat.conversation import Chat, unknown_ending
from convtui.log.formats.chat.messages import Message, plain
from convtui.log.formats.claude_code.tree import Branch, Row, branches, grow
from convtui.log.formats.findings import Finding
from convtui.log.formats.json_files import files_below, first_value
from convtui.log.formats.json_objects import files_of, lines, values_in
from convtui.log.formats.registry import Format, Imported, ParentIn
from convtui.records.times import parse_time
from convtui.records.values import as_list, as_object, as_text, drop_none

NAME: Final = "claude-code"
_MESSAGES: Final = ("user", "assistant")
_ABOUT: Final = ("cwd", "gitBranch", "version", "slug")
_ENVELOPE: Final = frozenset(
    {
        "type", "message", "uuid", "parentUuid", "sessionId", "timestamp", "isSidechain",
        "userType", "requestId", *_ABOUT,
    }
)  # fmt: skip
_STOPS: Final = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length",
                 "stop_sequence": "stop", "refusal": "refusal"}  # fmt: skip
_HEAD: Final = 1 << 18


def detect(path: Path) -> bool:
    """Whether a file is a session, or a folder holds some. Never raises."""
    if path.is_dir():
        return any(map(_is_one, files_below(path, _is_one)))
    return _is_one(path)


def _is_one(path: Path) -> bool:
    if path.suffix.lower() != ".jsonl":
        return False
    first = first_value(path)
    if not isinstance(first, Mapping):
        return False
    return _is_row(first) or any(map(_is_row, _first_rows(path)))


def _first_rows(path: Path) -> Iterator[Any]:
    """The rows near the beginning: what comes first may be a summary, or an event of any kind."""
    read = 0
    try:
        for line in lines(path):
            read += len(line.raw)
            if read > _HEAD:
                return
            yield from values_in(line, path)[0]
    except FileError:
        return


def _is_row(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and value.get("type") in _MESSAGES
        and isinstance(value.get("message"), Mapping)
        and value["message"].get("role") == value["type"]
        and ("sessionId" in value or "uuid" in value)
    )


def files(path: Path) -> list[Path]:
    """The files that are read for a path. Raises `FileError` for a folder without any."""
    return files_of(
        path, lambda folder: files_below(folder, _is_one), _is_one, "sessions of Claude Code"
    )


def read(path: Path) -> Iterator[Imported]:
    """The conversations of a file, or of a folder's files in the order of their names.

    Of each session first the way that it went on with. Raises `FileError` for what holds none.
    """
    for file in files(path):
        yield from _read_file(file)


def _read_file(path: Path) -> Iterator[Imported]:
    damage: list[Finding] = []
    rows = grow(_rows(path, damage))
    if not any(row.message for row in rows):
        why = f": {damage[0].placed}" if damage else ""
        raise FileError(f"{path}: there is no conversation in it{why}")
    own = [row for row in rows if row.data.get("isSidechain") is not True]
    ids: dict[int, str] = {}
    for branch in branches(_renumbered(own)) if own else ():
        chat = _Conversation(path, branch.rows, _lineage(branch, ids), damage).chat()
        damage = []
        imported = chat.imported()
        ids[id(branch)] = imported.id
        yield imported
    trunk = next(iter(ids.values()), "")
    for helper in _helpers(rows):
        parent = ParentIn(NAME, _session(helper), trunk, "subagent") if trunk else None
        yield _Conversation(path, helper, parent, damage).chat().imported()
        damage = []


def _rows(path: Path, damage: list[Finding]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for line in lines(path):
        values, findings = values_in(line, path)
        damage += findings
        for value in values:
            if isinstance(value, Mapping):
                yield line.number, value
            else:
                damage.append(Finding(path, "is no object; left out", line.number))


def _renumbered(rows: list[Row]) -> list[Row]:
    """The rows as a tree of their own, without what is not among them."""
    return grow((row.line, row.data) for row in rows)


def _helpers(rows: list[Row]) -> Iterator[list[Row]]:
    """The conversations of helpers, each with all rows below its first."""
    helpers: dict[int, list[Row]] = {}
    for row in rows:
        if row.data.get("isSidechain") is not True:
            continue
        top = row
        while top.parent is not None and top.parent.data.get("isSidechain") is True:
            top = top.parent
        helpers.setdefault(top.order, []).append(row)
    yield from helpers.values()


def _session(rows: Iterable[Row]) -> str:
    return next((as_text(row.data["sessionId"]) for row in rows if row.data.get("sessionId")), "")


def _lineage(branch: Branch, ids: Mapping[int, str]) -> ParentIn | None:
    if branch.of is None:
        return None
    return ParentIn(NAME, _session(branch.rows), ids.get(id(branch.of), ""), "fork")


@dataclass(slots=True)
class _Conversation:
    """The rows of one conversation, as messages."""

    path: Path
    rows: list[Row]
    parent: ParentIn | None
    damage: list[Finding]

    def chat(self) -> Chat:
        """The conversation, ready to be imported."""
        spoken = [row for row in self.rows if row.message]
        created = next((at for row in self.rows if (at := _time(row))), None)
        about = {
            name: next((row.data[name] for row in self.rows if row.data.get(name)), None)
            for name in _ABOUT
        }
        titles = [as_text(row.data.get("summary")) for row in self.rows if row.type == "summary"]
        replies = (as_text(row.message.get("model")) for row in spoken if row.type == "assistant")
        first = spoken[0] if spoken else None
        return Chat(
            NAME,
            self.path,
            self._messages,
            session_id=_session(self.rows),
            place=as_text(first.data.get("uuid")) if first is not None and self.parent else "",
            provider="claude-code",
            model=next((model for model in replies if model and model != "<synthetic>"), ""),
            created=created,
            created_from="timestamp",
            ending=unknown_ending,
            details={"title": titles[-1] if titles else None, **drop_none(about)},
            parent=self.parent,
            findings=list(self.damage),
        )

    def _messages(self) -> Iterator[Message]:
        parts: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.reply_id:
                parts.setdefault(row.reply_id, []).append(row)
        for row in self.rows:
            if not row.message:
                yield _event(row)
            elif row.reply_id:
                # All blocks of a reply stand where its first one does.
                of_reply = parts.pop(row.reply_id, None)
                if of_reply is not None:
                    yield from _reply(of_reply)
            else:
                yield from _said(row)


def _time(row: Row) -> Any:
    return parse_time(as_text(row.data.get("timestamp")))


def _event(row: Row) -> Message:
    """What is no message: a summary, an event of a type that is not known."""
    at = _time(row)
    data = {str(name): plain(value) for name, value in row.data.items() if name != "type"}
    return Message(
        "",
        "",
        f"line {row.line}",
        row.line,
        event=(row.type or "unknown")[:40],
        content=data,
        at=at.timestamp() if at is not None else None,
    )


def _said(row: Row) -> Iterator[Message]:
    at = _time(row)
    more = {str(k): plain(v) for k, v in row.data.items() if k not in _ENVELOPE}
    for message in messages_of(row.message, f"line {row.line}", row.line):
        message.at = at.timestamp() if at is not None else None
        message.id = row.data.get("uuid")
        message.summary = row.data.get("isCompactSummary") is True
        message.more |= more
        if row.data.get("isMeta") is True and message.role == "user":
            # Nobody said it: the program put it in.
            message.event, message.content = "meta", message.text
        yield message


def _reply(rows: list[Row]) -> Iterator[Message]:
    """One reply of the model, whose blocks stand in several rows."""
    first, last = rows[0], rows[-1]
    content: list[Any] = []
    for row in rows:
        given = row.message.get("content")
        content += [{"type": "text", "text": given}] if isinstance(given, str) else as_list(given)
    whole = {**first.message, "content": content}
    for name in ("usage", "model", "id", "stop_reason", "stop_sequence", "type"):
        whole.pop(name, None)
    for message in messages_of(whole, f"line {first.line}", first.line):
        at = _time(last)
        message.at = at.timestamp() if at is not None else None
        message.id = first.data.get("uuid")
        if message.role == "assistant":
            message.response_id = first.reply_id
            message.model = as_text(last.message.get("model")) or None
            message.usage = _usage(last.message.get("usage"))
            stop = as_text(last.message.get("stop_reason"))
            message.finish = _STOPS.get(stop, stop) or None
        yield message


def _usage(given: Any) -> dict[str, Any] | None:
    usage = as_object(given)
    prompt = [usage.get(name) for name in ("input_tokens", "cache_read_input_tokens",
                                           "cache_creation_input_tokens")]  # fmt: skip
    figures = [value for value in prompt if isinstance(value, int) and value >= 0]
    completion = usage.get("output_tokens")
    known = {
        "prompt_tokens": sum(figures) if figures else None,
        "completion_tokens": completion if isinstance(completion, int) else None,
        "cached_tokens": prompt[1] if isinstance(prompt[1], int) else None,
    }
    return drop_none(known) or None


FORMAT = Format(
    name=NAME,
    description="sessions of Claude Code (.jsonl), single or a folder; forks become branches",
    detect=detect,
    read=read,
    files=files,
    keys=("sessionId", "parentUuid", "uuid", "message", "isSidechain"),
)
