"""How a transcript of VERA-MH is laid out, beside what is said in it.

Labels, END lines, line ends and blank lines, so that an imported transcript is written as it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from convtui.log.formats.vera.transcripts import (
    EMPTY,
    Block,
    is_end,
    label_of,
    parse_lines,
    writable,
)
from convtui.records.codec import Speaker
from convtui.records.values import as_object

_LABELS: Final[dict[Speaker, str]] = {"persona": "user: ", "provider": "chatbot: "}
"""Those that VERA-MH writes, and that its own reader knows."""
_MARK: Final = "\ufeff"
_LINE_ENDS: Final = ("\n", "\r\n", "\r")


@dataclass(slots=True)
class Layout:
    """Everything in a transcript but the turns. Turns are numbered from 1.

    `labels` are those of most turns of a side, with the colon and the space; `other_labels` those
    of single turns that differ. `gaps` are the lines between a turn and the next where that is not
    one empty line. Of a transcript without turns `before` is the whole.
    """

    turns: int = 0
    labels: dict[Speaker, str] = field(default_factory=lambda: dict(_LABELS))
    other_labels: dict[int, str] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    gaps: dict[int, list[str]] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    line_end: str = "\n"
    mixed: bool = False
    """Whether the lines end in several ways, which is not kept."""
    byte_order_mark: bool = False
    final_line_end: bool = True

    def as_dict(self) -> dict[str, Any]:
        """As it goes into a header: only what is not as VERA-MH writes it, and the labels."""
        data: dict[str, Any] = {"turns": self.turns, "labels": self.labels}
        plain = Layout()
        for name in ("before", "after", "line_end", "mixed", "byte_order_mark", "final_line_end"):
            if getattr(self, name) != getattr(plain, name):
                data[name] = getattr(self, name)
        numbered: dict[str, Mapping[int, Any]] = {
            "other_labels": self.other_labels, "ends": self.ends, "gaps": self.gaps,
        }  # fmt: skip
        for name, values in numbered.items():
            if values:
                data[name] = {str(number): value for number, value in values.items()}
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Layout:
        """The layout that a header tells of; what cannot stand in a transcript is left out."""
        layout = cls(turns=data["turns"] if type(data.get("turns")) is int else 0)
        for side, label in as_object(data.get("labels")).items():
            if side in _LABELS and label_of(label) == (label, side):
                layout.labels[side] = label
        layout.other_labels = {n: text for n, text in _numbered(data, "other_labels")
                               if label_of(text) is not None}  # fmt: skip
        layout.ends = {n: text for n, text in _numbered(data, "ends") if is_end(text)}
        layout.gaps = {n: lines for n, lines in _numbered(data, "gaps") if _blank(lines)}
        before, after = _texts(data.get("before")), data.get("after")
        rest = [line for line in before if layout.turns or line.strip() != EMPTY]
        layout.before = before if _blank(rest) else []
        layout.after = _texts(after) if _blank(after) else []
        layout.line_end = data["line_end"] if data.get("line_end") in _LINE_ENDS else "\n"
        layout.mixed = data.get("mixed") is True
        layout.byte_order_mark = data.get("byte_order_mark") is True
        layout.final_line_end = data.get("final_line_end") is not False
        return layout

    def without_places(self) -> Layout:
        """What of it also fits other turns: labels and line ends."""
        return Layout(labels=self.labels, line_end=self.line_end)

    def render(self, turns: Sequence[tuple[Speaker, str]]) -> str:
        """A transcript of turns in this layout.

        Texts stay as they are where that can be read back; else they are made `writable()`.
        """
        if self._keeps(turns):
            return self._join(turns)
        return self._join([(speaker, writable(text)) for speaker, text in turns])

    def changed(self, turns: Sequence[tuple[Speaker, str]]) -> int:
        """How many texts cannot stand there as they are."""
        return 0 if self._keeps(turns) else sum(writable(text) != text for _, text in turns)

    def _keeps(self, turns: Sequence[tuple[Speaker, str]]) -> bool:
        return not turns or _reads_back(self._join(turns), turns)

    def _join(self, turns: Sequence[tuple[Speaker, str]]) -> str:
        if not turns:
            whole = "\n".join(self.before) if self.before else EMPTY
            return self._ended(whole, self.final_line_end and bool(self.before))
        lines = list(self.before)
        for number, (speaker, text) in enumerate(turns, 1):
            lines.append(self._label(number, speaker, text) + text)
            if number in self.ends:
                lines.append(self.ends[number])
            lines += self.gaps.get(number, [""]) if number < len(turns) else self.after
        return self._ended("\n".join(lines), self.final_line_end)

    def _ended(self, text: str, final: bool) -> str:
        whole = f"{text}\n" if final else text
        return (_MARK if self.byte_order_mark else "") + whole.replace("\n", self.line_end)

    def _label(self, number: int, speaker: Speaker, text: str) -> str:
        label = self.other_labels.get(number, "")
        if label_of(label) != (label, speaker):
            label = self.labels[speaker]
        goes_on = bool(text) and not text.startswith("\n")
        return f"{label} " if goes_on and not label.endswith(" ") else label


def render(turns: Sequence[tuple[Speaker, str]], ended_by: Speaker | None = None) -> str:
    """A transcript of turns as VERA-MH writes it."""
    return Layout(ends=end_after(len(turns), ended_by)).render(turns)


def end_after(turn: int, ended_by: Speaker | None) -> dict[int, str]:
    """The END line of a conversation that a side has ended with its last turn."""
    line = f"[CONVERSATION ENDED - {ended_by} signaled termination]"
    return {turn: line} if ended_by is not None and turn else {}


def read_transcript(text: str) -> tuple[list[Block], Layout]:
    """The turns of a transcript and how it is laid out.

    Raises ValueError for a text that does not begin with a turn.
    """
    layout = Layout(byte_order_mark=text.startswith(_MARK))
    text = text.removeprefix(_MARK)
    pairs = text.count("\r\n")
    counts = {"\r\n": pairs, "\n": text.count("\n") - pairs, "\r": text.count("\r") - pairs}
    used = [line_end for line_end, count in counts.items() if count]
    layout.line_end = max(used, key=counts.__getitem__, default="\n")
    layout.mixed = len(used) > 1
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    layout.final_line_end = text.endswith("\n")
    parsed = parse_lines(text.removesuffix("\n").split("\n"))
    blocks = parsed.blocks
    layout.turns = len(blocks)
    layout.before, layout.after = parsed.before, parsed.after
    for side in _LABELS:
        common = Counter(block.prefix for block in blocks if block.speaker == side).most_common(1)
        layout.labels[side] = common[0][0] if common else _LABELS[side]
    for number, block in enumerate(blocks, 1):
        if block.prefix != layout.labels[block.speaker]:
            layout.other_labels[number] = block.prefix
        if block.end_line is not None:
            layout.ends[number] = block.end_line
        if block.gap != [""] and number < len(blocks):
            layout.gaps[number] = block.gap
    return blocks, layout


def _reads_back(text: str, turns: Sequence[tuple[Speaker, str]]) -> bool:
    try:
        text.encode()
        blocks, _ = read_transcript(text)
    except (UnicodeEncodeError, ValueError):
        return False
    return [(block.speaker, block.text) for block in blocks] == list(turns)


def _numbered(data: Mapping[str, Any], name: str) -> Iterable[tuple[int, Any]]:
    for number, value in as_object(data.get(name)).items():
        if str(number).isascii() and str(number).isdigit() and len(str(number)) < 10:
            yield int(number), value


def _texts(value: Any) -> list[str]:
    return value if isinstance(value, list) and all(isinstance(x, str) for x in value) else []


def _blank(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(line, str) and not line.strip() and "\n" not in line and "\r" not in line
        for line in value
    )
