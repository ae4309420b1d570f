"""VERA-MH's transcripts: paragraphs `label: text` with blank lines between them, and inside.

A line begins a turn only if it is `label:` (alone or before a space) and is the first line or comes
after a blank line or an END line. Checked against all published transcripts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from convtui.records.codec import Speaker

EMPTY: Final = "No conversation recorded."
_LABEL: Final = re.compile(r"(user|agent|chatbot|assistant|persona|provider):( |$)")
_END: Final = re.compile(r"\[CONVERSATION ENDED - (?P<who>.*) signaled termination\]\s*")
_SIDES: Final[dict[str, Speaker]] = {"user": "persona", "persona": "persona"}


@dataclass(slots=True)
class Block:
    """One turn of a transcript, at a line counted from 1.

    `ended_by` is the speaker that the END line after it names, `prefix` the label as it stands
    there and `gap` the lines between this turn, with its END line, and the next.
    """

    label: str
    text: str
    line: int
    ended_by: str | None = None
    prefix: str = ""
    end_line: str | None = None
    gap: list[str] = field(default_factory=list)

    @property
    def speaker(self) -> Speaker:
        """The side that the label stands for."""
        return _SIDES.get(self.label, "provider")


@dataclass(slots=True)
class Lines:
    """The lines of a transcript: its turns, and what stands around them.

    Without turns `before` has all lines.
    """

    blocks: list[Block] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


def is_transcript(head: str) -> bool:
    """Whether a text that begins with `head` looks like a transcript."""
    line = head.lstrip("\ufeff\r\n ").split("\n", 1)[0].rstrip("\r")
    return line.strip() == EMPTY or _LABEL.match(line) is not None


def label_of(text: object) -> tuple[str, Speaker] | None:
    """A label as it stands before a turn's text, and its side; None for anything else."""
    match = _LABEL.fullmatch(text) if isinstance(text, str) else None
    return (match[0], _SIDES.get(match[1], "provider")) if match else None


def is_end(text: object) -> bool:
    """Whether a line says that the conversation ended."""
    return isinstance(text, str) and _END.fullmatch(text) is not None and "\n" not in text


def parse(text: str) -> list[Block]:
    """The turns of a transcript; none for one that says that nothing was recorded.

    Raises ValueError for a text that does not begin with a turn.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return parse_lines(text.removesuffix("\n").split("\n")).blocks


def parse_lines(lines: list[str]) -> Lines:
    """The same of lines without their ends, with what stands around the turns."""
    first = next((n for n, line in enumerate(lines) if line.strip()), None)
    if first is None or "\n".join(lines[first:]).strip() == EMPTY:
        return Lines(before=lines)
    if not _LABEL.match(lines[first]):
        raise ValueError(f"line {first + 1} begins no turn (user:, chatbot:, agent: ...)")
    blocks: list[Block] = []
    held: list[str] = []
    after_gap = True
    for number, line in enumerate(lines[first:], first + 1):
        label = _LABEL.match(line) if after_gap else None
        if label:
            _close(blocks, held, cut=True)
            blocks.append(Block(label[1], "", number, prefix=label[0]))
            held = [line[label.end() :]]
            after_gap = False
            continue
        end = _END.fullmatch(line)
        if end and blocks[-1].ended_by is None and _ends_here(lines, number):
            _close(blocks, held, cut=False)
            blocks[-1].ended_by = end["who"]
            blocks[-1].end_line = line
            held = []
        else:
            held.append(line)
        after_gap = bool(end) or not line.strip()
    _close(blocks, held, cut=False)
    return Lines(blocks, lines[:first], blocks[-1].gap)


def _ends_here(lines: list[str], after: int) -> bool:
    """Whether only the end, or another turn, follows the first `after` lines."""
    for line in lines[after:]:
        if line.strip():
            return _LABEL.match(line) is not None
    return True


def _close(blocks: list[Block], held: list[str], *, cut: bool) -> None:
    """Puts the lines that were held into the last block; `cut` takes the separating one off."""
    if not blocks:
        return
    if blocks[-1].ended_by is not None:
        blocks[-1].gap = held  # only blank lines stand between an END line and the next turn
        return
    if cut and held and not held[-1].strip() and len(held) > 1:
        held, blocks[-1].gap = held[:-1], held[-1:]
    blocks[-1].text = "\n".join(held)


def writable(text: str) -> str:
    """`text` as it can stand in a transcript and be read back.

    Line ends become newlines, half characters a replacement sign; a line that would begin a turn
    or end the conversation gets a space in front.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.encode("utf-8", "replace").decode() if _half(text) else text
    lines = text.split("\n")
    for number, line in enumerate(lines):
        begins = number and not lines[number - 1].strip() and _LABEL.match(line)
        if begins or _END.fullmatch(line):
            lines[number] = f" {line}"
    return "\n".join(lines)


def _half(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)
