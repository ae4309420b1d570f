"""Folds the pieces of tool calls into calls, whatever servers do with indexes, ids and names.

A second name, a second id, or more after complete arguments begins a new call, whatever the index
says: some servers leave the index out, others send 0 for every call. What such a server cannot
have meant otherwise is put together in silence; where two readings are possible, the one taken is
noted as doubtful.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from convtui.log.tool_arguments import distinct_ids
from convtui.text.boundary import one_line


@dataclass(slots=True, frozen=True)
class ToolCallDelta:
    """A piece of a tool call; pieces of one call share an `index`, the first has id and name."""

    index: int | None = None
    id: str | None = None
    name: str | None = None
    arguments: str = ""


@dataclass(slots=True)
class ToolCall:
    """A complete tool call; `arguments` is the JSON text exactly as the model wrote it."""

    id: str
    name: str
    arguments: str = ""

    def as_message(self) -> dict[str, Any]:
        """The call as it stands in an assistant message."""
        return {
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


def distinct(calls: Sequence[ToolCall]) -> list[ToolCall]:
    """The calls of a reply, each with an id of its own; endpoints may leave it out or repeat it."""
    ids = distinct_ids([call.id for call in calls])
    return [replace(call, id=name) for call, name in zip(calls, ids, strict=True)]


_MORE: Final = "more came after complete arguments; taken as another call"
_TWICE: Final = "came twice with the same arguments; taken as one call"
_OPENING: Final = ("{", "[", '"')
_STRUCTURE: Final = re.compile(r'["{}\[\]]')
_IN_STRING: Final = re.compile(r'["\\]')


class _JsonEnd:
    """Finds where the JSON object, list or string at the start of a text ends.

    The text comes in pieces. A text that starts otherwise (a number, no JSON at all) has no end.
    """

    __slots__ = ("_begun", "_depth", "_escaped", "_in_string", "_open", "whole")

    def __init__(self) -> None:
        self._begun = self._open = self._in_string = self._escaped = False
        self._depth = 0
        self.whole = False
        """Whether the end has been reached."""

    def feed(self, text: str) -> int | None:
        """The offset in this piece behind the end of the value; None where it goes on."""
        at = 0
        if not self._begun:
            at = len(text) - len(text.lstrip())
            if at == len(text):
                return None
            self._begun, self._open = True, text.startswith(_OPENING, at)
        while self._open and at < len(text):
            if self._escaped:
                self._escaped, at = False, at + 1
                continue
            match = (_IN_STRING if self._in_string else _STRUCTURE).search(text, at)
            if match is None:
                return None
            at = match.end()
            self._step(match.group())
            if self.whole:
                return at
        return None

    def _step(self, sign: str) -> None:
        if sign == "\\":
            self._escaped = True
            return
        if sign == '"':
            self._in_string = not self._in_string
        else:
            self._depth += 1 if sign in "{[" else -1
        if not self._in_string and self._depth <= 0:
            self._open, self.whole = False, True


def _is_whole(text: str) -> bool:
    return _JsonEnd().feed(text) is not None


@dataclass(slots=True)
class _Open:
    index: int | None
    id: str = ""
    name: str = ""
    inherited: bool = False
    """Its name is that of the call before it in the same place: it came with none of its own."""
    again: bool = False
    """After its complete arguments its name came once more, without any."""
    end: _JsonEnd = field(default_factory=_JsonEnd)
    _pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    def append(self, text: str) -> str:
        """Appends arguments up to their end; returns what follows it."""
        end = self.end.feed(text)
        self._pieces.append(text[:end])
        return "" if end is None else text[end:]

    def append_as_it_is(self, text: str) -> None:
        self._pieces.append(text)

    def followed_by(self, text: str) -> bool:
        """Whether a text behind the complete arguments begins other arguments."""
        own = self.text.lstrip()
        opening = _OPENING if own.startswith('"') else _OPENING[:2]
        return text.startswith(opening) and text != own.rstrip()

    def clear(self) -> None:
        self.end, self._pieces = _JsonEnd(), []

    def repeated_by(self, piece: str) -> bool:
        """Whether a piece begins with all the arguments received so far: some servers send them
        again with every piece."""
        size = sum(map(len, self._pieces))
        return 0 < size < len(piece) and piece.startswith(self.text) and self.text[0] == "{"


class CallFold:
    """Puts the tool calls of one reply together.

    `names` are those of the tools that were offered: they tell a name that comes in pieces from a
    second name.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = frozenset(names)
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        """The latest call of each index."""
        self._by_id: dict[str, list[_Open]] = {}
        self._latest: _Open | None = None
        self._doubts: dict[str, None] = {}

    def add(self, piece: ToolCallDelta) -> None:
        call = self._continued(piece)
        if call is None:
            call = self._begin(piece.index, piece.id or "", piece.name or "")
        else:
            if piece.id and not call.id:
                call.id = piece.id
                self._by_id.setdefault(call.id, []).append(call)
            self._latest = call
            if piece.name:
                self._take_name(call, piece)
        if piece.arguments:
            self._take_arguments(call, piece)

    def _begin(
        self, index: int | None, call_id: str, name: str, *, inherited: bool = False
    ) -> _Open:
        call = _Open(index, call_id, name, inherited)
        self._calls.append(call)
        self._latest = call
        if index is not None:
            self._by_index[index] = call
        if call_id:
            self._by_id.setdefault(call_id, []).append(call)
        return call

    def _addressed(self, piece: ToolCallDelta) -> _Open | None:
        """The call that id and index of a piece point to."""
        if piece.id:
            for call in reversed(self._by_id.get(piece.id, ())):
                if call.index is None or piece.index in (None, call.index):
                    return call
        if piece.index is None:
            return self._latest
        at = self._by_index.get(piece.index)
        if at is None and not piece.id and not piece.name:
            # The first piece had no index, those that go on have one.
            return self._latest if self._latest and self._latest.index is None else None
        return at

    def _continued(self, piece: ToolCallDelta) -> _Open | None:
        """The call that a piece goes on with; None when it begins one."""
        call = self._addressed(piece)
        if call is None or (piece.id and call.id and piece.id != call.id):
            return None
        if not piece.name or not call.name:
            return call
        same = piece.name == call.name
        arguments = piece.arguments.strip()
        if call.end.whole:
            if not same:
                return None
            if not arguments:
                call.again = True
                return call
            return None if call.followed_by(arguments) else call
        if same:
            return call  # repeated with every piece
        if call.text.strip():
            return None  # a second name in the midst of arguments
        if call.name + piece.name in self._names:
            return call
        if {call.name, piece.name} <= self._names:
            return None
        same_call = piece.id == call.id != "" or piece.name.startswith(call.name)
        return None if arguments.startswith(_OPENING) and not same_call else call

    def _take_name(self, call: _Open, piece: ToolCallDelta) -> None:
        name = piece.name or ""
        if not call.name or (name != call.name and name.startswith(call.name)):
            call.name = name
        elif name != call.name:
            joined = call.name + name
            if joined not in self._names and (self._names or not piece.id):
                self._doubt(joined, f"put together from {call.name!r} and {name!r}")
            call.name = joined

    def _take_arguments(self, call: _Open, piece: ToolCallDelta) -> None:
        text = piece.arguments
        while text:
            if not call.end.whole:
                if call.repeated_by(text):
                    self._doubt(call.name, "each piece repeats the arguments that came before it")
                    call.clear()
                text = call.append(text)
                continue
            rest = text.strip()
            if rest == call.text.strip():
                if not call.id or (piece.id != call.id and not call.again):
                    self._doubt(call.name, _TWICE)
                call.again = False
                return
            if not call.followed_by(rest):
                # Text after complete arguments is the mistake of the model.
                call.append_as_it_is(text)
                return
            if call.text.strip() == "{}" and not call.again:
                self._doubt(call.name, "{} came before its arguments; left out")
                call.clear()
                continue
            if not call.again:
                self._doubt(call.name, _MORE)
            known = call.id if call.again else ""
            call = self._begin(call.index, piece.id or known, call.name, inherited=True)

    def _doubt(self, name: str, what: str) -> None:
        self._doubts[_note(name, what)] = None

    def result(self) -> tuple[list[ToolCall], list[str]]:
        """The calls so far, and what was doubtful in putting them together.

        A missing id is made up; ids that the server repeated stay repeated.
        """
        before = dict(self._doubts)
        calls = self._put_together()
        doubts, self._doubts = list(self._doubts), before
        if all(index is not None for index, _ in calls):
            calls.sort(key=lambda item: item[0] or 0)
        taken = {call.id for _, call in calls}
        number = 0
        for _, call in calls:
            while not call.id:
                if f"call_{number}" not in taken:
                    call.id = f"call_{number}"
                    taken.add(call.id)
                number += 1
        return [call for _, call in calls], doubts

    def _put_together(self) -> list[tuple[int | None, ToolCall]]:
        calls: list[tuple[int | None, ToolCall]] = []
        for item in self._calls:
            last = calls[-1][1] if calls else None
            if not item.name:
                if last is not None and not _is_whole(last.arguments):
                    # A new index or id with every piece.
                    if item.text:
                        self._doubt(last.name, "its pieces came under several indexes or ids")
                        last.arguments += item.text
                    continue
                if not item.text.strip():
                    continue
                self._doubt("", "arguments came with no name")
            elif item.inherited and any(
                _same(call, item) for index, call in calls if index == item.index
            ):
                self._doubts.pop(_note(item.name, _MORE), None)
                self._doubt(item.name, _TWICE)
                continue
            calls.append((item.index, ToolCall(item.id, item.name, item.text)))
        return calls


def _note(name: str, what: str) -> str:
    return f"{one_line(name, 80) or 'a call without a name'}: {what}"


def _same(call: ToolCall, other: _Open) -> bool:
    return (
        call.name == other.name
        and other.id in ("", call.id)
        and call.arguments.strip() == other.text.strip()
    )
