"""A conversation as Markdown for an issue: what was said reads as text, and as nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Final

from convtui.share.conversation import SharedConversation, SharedSection, SharedTool, SharedTurn

_SIGNS: Final = re.compile(r"[\\`*_{}\[\]<>#|~&$^]")
_BEGINS: Final = re.compile(r"(?m)^(\s*)([-+=]|\d+(?=[.)]))")
"""What makes a list or a heading of a line."""
_LINKS: Final = re.compile(r"(@)|(#)(?=\d)|(?i:((?:https?|ftp):)(?=//)|(www)(?=\.)|(GH-)(?=\d))")
_SPLIT: Final = "<!-- -->"
"""Stands in what trackers would make a link, a mention or a reference of."""
_INDENT: Final = re.compile(r"(?m)^ +")


def markdown_page(shared: SharedConversation) -> str:
    """The conversation as Markdown, with HTML only for what folds."""
    lines = [f"# {inline(shared.title)}", ""]
    lines.append(" · ".join(inline(fact) for fact in [*shared.facts, shared.excerpt] if fact))
    for section in shared.sections:
        lines += _section(section)
    lines += ["", *(f"**{inline(line)}**  " for line in shared.closing[:1])]
    lines += [inline(line) + "  " for line in shared.closing[1:]]
    return "\n".join(lines).rstrip() + "\n"


def inline(text: str) -> str:
    """Text on one line, with everything escaped that means something."""
    return _BEGINS.sub(_begin, _escaped(text.replace("\n", " ")))


def _escaped(text: str) -> str:
    parts: list[str] = []
    start = 0
    for match in _LINKS.finditer(text):
        parts += (_SIGNS.sub(r"\\\g<0>", text[start : match.end()]), _SPLIT)
        start = match.end()
    return "".join(parts) + _SIGNS.sub(r"\\\g<0>", text[start:])


def _quoted(text: str, *, struck: bool = False) -> Iterator[str]:
    """A text of several lines as a quotation that keeps them."""
    safe = _BEGINS.sub(_begin, _escaped(text))
    for line in _INDENT.sub(lambda match: "&nbsp;" * len(match[0]), safe).split("\n"):
        bare = line.strip()
        shown = f"~~{bare}~~" if struck and bare else line
        yield f"> {shown}  " if shown else ">"


def _begin(match: re.Match[str]) -> str:
    sign = match[2]
    # `1.` is escaped behind the number.
    return f"{match[1]}{sign}\\" if sign.isdigit() else f"{match[1]}\\{sign}"


def _section(section: SharedSection) -> Iterator[str]:
    if section.head:
        yield from ("", f"## {inline(section.head)}")
    for item in section.items:
        yield ""
        if isinstance(item, SharedTurn):
            yield from _turn(item)
        else:
            yield f"*{inline(item)}*"
    if section.end:
        yield from ("", f"**{inline(section.end)}**")


def _turn(turn: SharedTurn) -> Iterator[str]:
    yield f"**{inline(turn.address)} {inline(turn.speaker)}**"
    if turn.text is not None:
        yield from ("", *_quoted(turn.text, struck=turn.struck))
    marks = [*(text for text, _ in turn.marks), *turn.notes]
    if marks:
        yield from ("", *(f"- {inline(mark)}" for mark in marks))
    for tool in turn.tools:
        yield from _tool(tool)
    if turn.raw is not None:
        yield from _folded("raw reply", [("", turn.raw)])


def _tool(tool: SharedTool) -> Iterator[str]:
    parts = [("json", tool.arguments)]
    if tool.result is not None:
        parts.append(("", tool.result))
    yield from _folded(f"tool {tool.name}: {tool.state}", parts)


def _folded(summary: str, parts: list[tuple[str, str]]) -> Iterator[str]:
    words = _LINKS.sub(lambda match: match[0] + _SPLIT, escape(summary.replace("\n", " ")))
    yield from ("", f"<details><summary>{words}</summary>", "")
    for language, text in parts:
        longest = max((len(run) for run in re.findall("`+", text)), default=0)
        fence = "`" * max(3, longest + 1)
        yield from (f"{fence}{language}", text, fence, "")
    yield "</details>"
