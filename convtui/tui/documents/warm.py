"""Warm templates as documents: what one is and injects, and how two differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from convtui.printing.wording import made_on, message_words
from convtui.text.boundary import visible_line
from convtui.text.counts import counted
from convtui.tui.drawing.word_diff import changed_spans, diff_spans, legend_spans
from convtui.tui.widgets.text_pane import Document
from convtui.warm.names import MAX_PATTERNS
from convtui.warm.store import Stored
from convtui.warm.templates import Message, slots_of

_ROLES: Final = {
    "system": "accent",
    "user": "persona",
    "assistant": "provider",
    "tool": "tool",
}
_SOURCES: Final = 8
"""Runs that a template was made from that are named."""
_LONGEST: Final = 20_000
"""Characters of a text that are compared word by word."""
_EACH: Final = 4
"""Messages of a pattern."""


@dataclass(slots=True, frozen=True)
class Entry:
    """A template of the list, or a file that is none."""

    name: str
    stored: Stored | None
    problem: str = ""
    """What is wrong with the file, with its place; foreign text."""


def preview(entry: Entry) -> Document:
    """A template, and exactly which messages it injects; its slots are lit."""
    doc = Document()
    stored = entry.stored
    doc.line((visible_line(entry.name), "accent bold"))
    if stored is None:
        doc.line(("This file cannot be read as a template:", "error bold"))
        return doc.text(entry.problem, "error")
    template = stored.template
    slots = slots_of(template)
    for name, value in (
        ("for", template.description),
        ("tags", " ".join(f"#{tag}" for tag in template.tags)),
        ("made", _made(stored)),
        ("slots", ", ".join(f"{name} ({default})" if default is not None else f"{name}, asked for"
                            for name, default in slots.items())),
        ("mean gain", _gain(stored)),
        ("file", str(stored.path)),
    ):  # fmt: skip
        if value:
            doc.field(name, visible_line(value, 500), "tool" if name == "tags" else "text", 9)
    messages, addendum, left_out = _injected(stored)
    more = f"; {left_out} patterns above {MAX_PATTERNS} are left out" if left_out else ""
    doc.head(
        "what it injects",
        f"{counted(len(messages), 'message')} before every session's history{more}",
    )
    if not messages and not addendum:
        doc.line(("nothing: it has no pattern and no text for the system prompt", "warning"))
    if addendum:
        doc.line(("system", "accent bold"), ("  after the provider's own prompt", "muted"))
        _text(doc, addendum, slots)
    for number, message in enumerate(messages):
        role = str(message["role"])
        pattern = f"  pattern {number // _EACH + 1}" if number % _EACH == 0 else ""
        doc.line((role, f"{_ROLES.get(role, 'text')} bold"), (pattern, "muted"))
        _text(doc, message_words(message), slots)
    sources = template.source_session_ids
    if sources:
        doc.head("made from", f"{len(sources)} run{'s' * (len(sources) != 1)}")
        for name in sources[:_SOURCES]:
            doc.line((visible_line(name, 200), "muted"))
        if len(sources) > _SOURCES:
            doc.line((f"and {len(sources) - _SOURCES} more", "muted"))
    return doc


def _injected(stored: Stored) -> tuple[Sequence[Message], str, int]:
    """The messages, the text for the system prompt, patterns left out; slots as `{name}`."""
    context = stored.context({name: f"{{{name}}}" for name in slots_of(stored.template)})
    return context.messages, context.addendum, context.left_out


def _text(doc: Document, text: str, slots: dict[str, str | None]) -> None:
    marks = [
        (match.start(), match.end(), "mark:held")
        for match in re.finditer(r"\{([A-Za-z_]\w*)\}", text)
        if match[1] in slots
    ]
    doc.text(text, indent=2, marks=marks)


def _made(stored: Stored) -> str:
    count = len(stored.template.source_session_ids)
    of = f", of {count} run{'s' * (count != 1)}" if count else ""
    patterns = len(stored.template.patterns)
    return f"{made_on(stored.template.created_at)}{of}, {patterns} pattern{'s' * (patterns != 1)}"


def _gain(stored: Stored) -> str:
    gain = stored.template.metrics.get("avg_proficiency_gain")
    if isinstance(gain, bool) or not isinstance(gain, (int, float)):
        return ""
    return f"{gain:+g} (below 0 is an improvement)"


# --- two of them


def difference(one: Stored, other: Stored) -> Document:
    """How what two templates inject differs, pattern by pattern, words marked."""
    doc = Document()
    doc.line(*legend_spans(visible_line(one.name), visible_line(other.name)))
    (before, system), (after, new_system) = _injected(one)[:2], _injected(other)[:2]
    if (before, system) == (after, new_system):
        return doc.line(("They inject the same.", "ok"))
    if system != new_system:
        doc.head("system prompt").spans(diff_spans(system[:_LONGEST], new_system[:_LONGEST]))
    old, new = _patterns(before), _patterns(after)
    # Patterns belong together where they call the same tools in the same order.
    tools, others = [each.tool for each in old], [each.tool for each in new]
    same = 0
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, tools, others, autojunk=False).get_opcodes():
        if tag == "equal":
            for first, second in zip(old[i1:i2], new[j1:j2], strict=True):
                same += first.texts == second.texts
                _changed(doc, first, second)
            continue
        for pattern in old[i1:i2]:
            _only(doc, pattern, one.name, added=False)
        for pattern in new[j1:j2]:
            _only(doc, pattern, other.name, added=True)
    if same:
        many = "one pattern is" if same == 1 else f"{same} patterns are"
        doc.blank().line((f"{many} the same in both", "muted"))
    return doc


@dataclass(slots=True, frozen=True)
class _Pattern:
    """The messages of a pattern: role and text of each."""

    number: int
    tool: str
    texts: tuple[tuple[str, str], ...]


def _patterns(messages: Sequence[Message]) -> list[_Pattern]:
    found = []
    for first in range(0, len(messages), _EACH):
        part = messages[first : first + _EACH]
        tool = next(str(each["name"]) for each in part if each["role"] == "tool")
        texts = tuple((str(each["role"]), message_words(each)) for each in part)
        found.append(_Pattern(first // _EACH + 1, tool, texts))
    return found


def _only(doc: Document, pattern: _Pattern, where: str, *, added: bool) -> None:
    name = f"pattern {pattern.number} {visible_line(pattern.tool, 40)}"
    doc.head(name, f"only in {visible_line(where)}")
    for name, text in pattern.texts:
        doc.line((name, "muted"))
        doc.spans(changed_spans("+" if added else "-", text), indent=2)


def _changed(doc: Document, old: _Pattern, new: _Pattern) -> None:
    if old.texts == new.texts:
        return
    number = str(old.number) if old.number == new.number else f"{old.number} -> {new.number}"
    doc.head(f"pattern {number} {visible_line(old.tool, 40)}")
    for (name, before), (_, after) in zip(old.texts, new.texts, strict=True):
        doc.line((name, "muted"), ("  the same" if before == after else "", "muted"))
        if before != after:
            doc.spans(diff_spans(before[:_LONGEST], after[:_LONGEST]), indent=2)


NONE: Final = (
    "No warm template yet. A template is made of tool calls that worked in saved runs; a new"
    " conversation begins with them before its history."
)


def nothing(key: str, runs: str) -> Document:
    """Says how to make the first one, with `key` and of which `runs`."""
    says = (
        f" builds one from {runs}; so does `convtui warm build NAME`. To build from some of them,"
        " mark or filter them in the library, and open the templates from there."
    )
    document = Document().line((NONE, "text")).blank()
    return document.line((key, "accent bold"), (says, "text"))
