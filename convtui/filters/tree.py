"""The syntax tree of the filter language; `str()` of a node parses to the same node again."""

from __future__ import annotations

import re
from dataclasses import dataclass

WORD = r"[^\s&|!()\"'~][^\s&|()]*"
QUOTED = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"


@dataclass(frozen=True, slots=True)
class Atom:
    """`~name`, `~name value` or `~name op value`."""

    name: str
    value: str | None = None
    op: str | None = None

    def __str__(self) -> str:
        parts = [f"~{self.name}"]
        if self.op is not None:
            parts.append(self.op)
        if self.value is not None:
            parts.append(_quoted(self.value))
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Not:
    """`!item`."""

    item: Node

    def __str__(self) -> str:
        return f"!{_grouped(self.item, (And, Or))}"


@dataclass(frozen=True, slots=True)
class And:
    """`a & b & ...`, two or more."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " & ".join(_grouped(item, (And, Or)) for item in self.items)


@dataclass(frozen=True, slots=True)
class Or:
    """`a | b | ...`, two or more."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " | ".join(_grouped(item, (Or,)) for item in self.items)


Node = Atom | Not | And | Or


def _grouped(node: Node, kinds: tuple[type, ...]) -> str:
    return f"({node})" if isinstance(node, kinds) else str(node)


def _quoted(text: str) -> str:
    if re.fullmatch(WORD, text):
        return text
    # A backslash stands for itself unless something it could escape comes after it.
    return '"' + re.sub(r'\\(?=[\\"\']|$)|"', r"\\\g<0>", text) + '"'


def unquoted(token: str) -> str:
    if token[:1] in ('"', "'"):
        return re.sub(r"\\([\\\"'])", r"\1", token[1:-1])
    return str(token)
