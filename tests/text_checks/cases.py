"""Lines that are, or are not, to be noticed, and the figures of every rule on conversations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convtui.text_checks.reading import Noticed
from convtui.text_checks.rules import FLAG_RULES
from convtui.text_checks.text_checks import TextChecks
from tests.builders.sample_turns import Conversation

FOLDER = Path(__file__).parent / "corpus"
SENTINELS = ("<end>", "<END OF CONVERSATION>", "###STOP###")
NAMES = {"persona": "Maya Lee", "provider": "Harbour Bot"}
"""What is in force, and who speaks, in the lines of the corpus."""
_SPEAKERS = {"P": "persona", "A": "provider"}


@dataclass(frozen=True, slots=True)
class Case:
    """Turns of which the last is judged: the rule that is to notice it, or none of its flag."""

    flag: str
    rule: str | None
    turns: tuple[tuple[str, str], ...]
    line: int

    def __str__(self) -> str:
        return f"{self.flag}.txt:{self.line}"

    def noticed(self) -> list[Noticed]:
        """Everything that is noticed about the last turn."""
        noticer = TextChecks(sentinels=SENTINELS, names=NAMES)
        for speaker, text in self.turns[:-1]:
            noticer.notice(1, speaker, text)
        return noticer.notice(1, *self.turns[-1])


def cases() -> Iterator[Case]:
    """All cases of all files; a file is called after its flag."""
    for path in sorted(FOLDER.glob("*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line[:2] == "+ ":
                _, rule, rest = line.split(" ", 2)
                yield Case(path.stem, rule, _turns(rest), number)
            elif line[:2] == "- ":
                yield Case(path.stem, None, _turns(line[2:]), number)


def _turns(written: str) -> tuple[tuple[str, str], ...]:
    turns = []
    for part in written.split(" ¦ "):
        who, _, text = part.partition(" ")
        text = text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
        turns.append((_SPEAKERS[who], text))
    return tuple(turns)


def copied_conversations() -> list[Conversation]:
    """The small conversations of other projects that are in the tree."""
    return [
        Conversation(
            f"{found['source']}#{found['name']}",
            turns=[(1, speaker, text) for speaker, text in found["turns"]],
        )
        for found in json.loads((FOLDER / "real.json").read_text(encoding="utf-8"))
    ]


# --- figures


@dataclass(slots=True)
class Figures:
    """How often one rule fired on conversations, and how often it was wrong."""

    hits: int = 0
    wrong: int = 0
    example: str = ""


@dataclass(slots=True)
class Measured:
    """The figures of every rule on some conversations."""

    persona: int = 0
    provider: int = 0
    """Turns of each side."""
    rules: dict[str, Figures] = field(
        default_factory=lambda: {
            f"{flag}:{rule}": Figures() for flag, rules in FLAG_RULES.items() for rule in rules
        }
    )
    unjudged: list[str] = field(default_factory=list)
    """What to do about each hit that nobody has judged."""


def digest_of(text: str) -> str:
    """How a text is named among what was judged."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def measure(
    conversations: Iterable[Conversation],
    judged: Mapping[str, bool],
    sentinels: Sequence[str] = SENTINELS,
) -> Measured:
    """Runs every rule over conversations; `judged` says of a `DIGEST FLAG:RULE` whether the hit is
    right."""
    measured = Measured()
    for conversation in conversations:
        names = {"persona": conversation.persona, "provider": conversation.provider}
        noticer = TextChecks(sentinels=sentinels, names=names)
        for session, speaker, text in conversation.turns:
            if speaker == "persona":
                measured.persona += 1
            else:
                measured.provider += 1
            for entry in noticer.notice(session, speaker, text):
                _count(measured, conversation.name, text, entry, judged)
    return measured


def _count(
    measured: Measured, name: str, text: str, entry: Noticed, judged: Mapping[str, bool]
) -> None:
    rule = f"{entry['flag']}:{entry['rule']}"
    figures = measured.rules[rule]
    figures.hits += 1
    key = f"{digest_of(text)} {rule}"
    right = judged.get(key)
    if right is None:
        shown: Any = entry.get("matched") or text[:200]
        measured.unjudged.append(
            f"{rule} fired in {name} and nobody has judged it: {shown!r} in {text[:400]!r}\n"
            f'  if it is right, add "{key}": true to {FOLDER.name}/judged.json, else'
            f' "{key}": false, and see that the rule is wrong in one hit of five at most'
        )
    elif not right:
        figures.wrong += 1
    if not figures.example or right is False:
        figures.example = str(entry.get("matched") or text[:60]).replace("\n", " ")


def table(measured: Measured) -> str:
    """The figures as lines: rule, turns of both sides, hits, those that are wrong, an example."""
    rows = [("rule", "persona", "provider", "hits", "wrong", "example")]
    rows += [
        (
            rule,
            str(measured.persona),
            str(measured.provider),
            str(figures.hits),
            str(figures.wrong),
            figures.example[:60],
        )
        for rule, figures in measured.rules.items()
    ]
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    return "\n".join(
        " | ".join([*(cell.ljust(size) for cell, size in zip(row, widths, strict=False)), row[5]])
        for row in rows
    )
