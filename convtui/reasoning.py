"""Reasoning that stands in a text: where it is, and the text without it.

Models think aloud in tags of many forms. They are looked for in one place, so that what is said,
what is decided, what ends a conversation and what is shown agree on what was only thought:

* XML-like tags, with attributes, a namespace or HTML escapes: `<think>`, `<thinking>`, `<thought>`,
  `<reasoning>`, `<scratchpad>`, `<inner_monologue>`, `<chain_of_thought>`, `<seed:think>`;
* `[THINK] ... [/THINK]`, `◁think▷ ... ◁/think▷`;
* `<|begin_of_thought|> ... <|end_of_thought|>`, `<|START_THINKING|> ... <|END_THINKING|>`,
  `<|inner_prefix|> ... <|inner_suffix|>`, `<unused94>thought ... <unused95>`;
* channels: `<|channel|>analysis<|message|> ... <|end|>`, `<|channel>thought ... <channel|>`, and
  what is left of them where the special tokens were dropped (`analysis ... assistantfinal`);
* `Here is my thought process: ... Here is my response:`.

A closing tag alone makes everything before it reasoning (chat templates open the tag in the
prompt), an opening tag alone everything after it (the reply was cut off). Tags in code, fenced or
inline, or in quotation marks, and an opening tag alone in mid-sentence ("what does <think> mean?")
are somebody's text about tags and are left alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

_NEEDLES: Final = (
    "think", "thought", "reason", "scratch", "monolog", "channel", "inner_prefix", "inner_suffix",
    "<unused9", "<cot", ";cot", "reflection",
)  # fmt: skip
"""Where none of these stands, in lower case, there is no tag."""

_SIGNS: Final = ("<", "&", "[", "◁")
"""What tags begin with."""
_BEGINNINGS: Final = ("analysis", "here is my", "here's my")
"""What forms without tags begin with."""
_HEAD: Final = 60

_NAME: Final = (
    r"(?:[a-z]{2,10}[_-])?(?:(?:ant)?think(?:ing)?(?:[ _-]?process)?|thoughts?(?:[ _-]?process)?"
    r"|reasoning(?:[ _-](?:content|process|trace))?|scratch_?pad|chain[ _-]of[ _-]thought|cot"
    r"|(?:inner|internal|private)[ _-]?(?:monolog(?:ue)?|thoughts?|thinking)|reflection)"
)
_TAG: Final = re.compile(
    rf"(?:<|&lt;)\s{{0,3}}(?P<close>/)?\s{{0,3}}(?:[a-z][\w.-]{{0,15}}:)?{_NAME}"
    r"(?:\s[^<>]{0,200}?)?\s{0,3}(?P<self>/)?(?:>|&gt;)"
    r"|\[(?P<close2>/)?think(?:ing)?\]"
    r"|◁\s?(?P<close3>/)?\s?think(?:ing)?\s?▷"
    r"|<\|(?:(?P<close4>end_of_|end_|/)|begin_of_|start_of_|start_)?(?:think(?:ing)?|thoughts?)\|>"
    r"|<\|inner_(?:prefix|(?P<close5>suffix))\|>"
    r"|<unused9(?:4>(?:thoughts?\b)?|(?P<close6>5)>)"
    r"|<\|channel\|?>\s{0,4}(?:analysis|commentary|thoughts?|thinking|reasoning)\b"
    r"(?:[^<\n]{0,80}(?:<\|constrain\|>\w{0,16})?<\|message\|>)?"
    r"|(?P<close7>(?:<\|end\|>\s*)?(?:<\|start\|>\s{0,4}assistant)?<\|channel\|?>\s{0,4}final"
    r"(?:\s*<\|constrain\|>\w{0,16})?(?:\s*<\|message\|>)?|<channel\|>)"
    r"|(?P<lone><\|(?:end|call)\|>)",
    re.IGNORECASE,
)
_CLOSES: Final = ("close", *(f"close{number}" for number in range(2, 8)))
_MARKERS: Final = re.compile(
    r"<\|(?:return|end|start_response|end_response)\|>|<\|start\|>\s{0,4}assistant\b", re.IGNORECASE
)
"""Special tokens that frame what is said where a reply came in channels."""
_DROPPED: Final = re.compile(r"\s*analysis(?=[A-Z\"'\s]).*?assistantfinal:?", re.DOTALL)
_PROCESS: Final = re.compile(
    r"\s*\**here(?:'s| is) my (?:thought process|reasoning)(?: process)?:.*?"
    r"^\**here(?:'s| is) my (?:response|answer):\**",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_FENCE: Final = re.compile(r"^ {0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_INLINE: Final = re.compile(r"(?<!`)(`{1,2})(?!`)(?:(?!\n\s*\n)[^`]|(?!\1)`)+?(?<!`)\1(?!`)")
_QUOTES: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»"}

TagRule = Literal["both", "open", "close", "words"]


class Span(NamedTuple):
    """A stretch of reasoning with its tags: characters `start` to `end` of the text.

    `inner` is the same without the tags, `rule` says which tags there were (`words` for forms that
    have none), `tag` is the first of them as it stands in the text.
    """

    start: int
    end: int
    inner: tuple[int, int]
    rule: TagRule
    tag: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Split:
    """A text taken apart: what is said, and what was only thought."""

    text: str
    """Without reasoning and its tags; the text itself where there is none."""
    reasoning: str
    """The thoughts, without tags; empty lines between those that stood apart."""
    spans: tuple[Span, ...] = ()
    """Where the reasoning stood in the whole."""


def split_reasoning(text: str) -> Split:
    """`text` without its reasoning, and the reasoning by itself."""
    spans = reasoning_spans(text)
    if not spans:
        return Split(text, "")
    kept: list[str] = []
    end = 0
    for span in spans:
        kept.append(text[end : span.start])
        end = span.end
        while end < len(text) and text[end].isspace():
            end += 1
    kept.append(text[end:])
    words = "".join(kept)
    if "<|" in words:
        words = _MARKERS.sub("", words)
    thoughts = (text[span.inner[0] : span.inner[1]].strip() for span in spans)
    return Split(words.strip(), "\n\n".join(filter(None, thoughts)), spans)


def without_reasoning(text: str) -> str:
    """`text` without its reasoning."""
    return split_reasoning(text).text


def reasoning_size(text: str) -> int:
    """How many characters of a text are reasoning, tags included."""
    return sum(span.end - span.start for span in reasoning_spans(text))


def is_inside(spans: Sequence[Span], start: int, end: int) -> bool:
    """Whether characters `start` to `end` lie wholly in one of the spans."""
    return any(span.start <= start and end <= span.end for span in spans)


def reasoning_spans(text: str) -> tuple[Span, ...]:
    """Where reasoning stands in a text, in order; the spans do not overlap."""
    # Nearly every text has none: that is to be found out at once.
    if text[:_HEAD].lstrip(" \n\t*").lower().startswith(_BEGINNINGS):
        for pattern in (_DROPPED, _PROCESS):
            match = pattern.match(text)
            if match is not None:
                whole = (match.start(), match.end())
                return (Span(*whole, whole, "words", (match.start(), match.start())),)
    if not any(sign in text for sign in _SIGNS):
        return ()
    lowered = text.lower()
    if not any(needle in lowered for needle in _NEEDLES):
        return ()
    if _TAG.search(text) is None:
        return ()
    code = _Code(text)
    spans = _paired(list(_tags(text, code, in_code=False)), len(text))
    if spans and spans[-1].rule == "open":
        # Code that began within the reasoning hides the tag that ends it.
        last = spans[-1]
        hidden = [
            tag
            for tag in _tags(text, code, in_code=True)
            if tag.closes and tag.start >= last.inner[0]
        ]
        if hidden:
            first = hidden[0]
            rest = [tag for tag in _tags(text, _Code(text, first.end), in_code=False)
                    if tag.start >= first.end]  # fmt: skip
            closed = Span(last.start, first.end, (last.inner[0], first.start), "both", last.tag)
            return (*spans[:-1], closed, *_paired(rest, len(text), first.end))
    return tuple(spans)


class _Tag(NamedTuple):
    start: int
    end: int
    closes: bool
    lone: bool
    """Whether it closes what is open, and means nothing where nothing is."""
    mention: bool
    """Whether it stands in mid-sentence: an opening tag without its partner is a word there."""


def _tags(text: str, code: _Code, *, in_code: bool) -> Iterator[_Tag]:
    for match in _TAG.finditer(text):
        start, end = match.span()
        if match["self"] or _is_quoted(text, start, end):
            continue
        if not in_code and code.covers(start):
            continue
        lone = match["lone"] is not None
        closes = lone or any(match[name] for name in _CLOSES)
        yield _Tag(start, end, closes, lone, not closes and _in_sentence(text, start, match[0]))


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Whether a quotation mark stands right before the tag, and its partner right after."""
    if not start or end >= len(text):
        return False
    return _QUOTES.get(text[start - 1]) == text[end]


def _in_sentence(text: str, start: int, tag: str) -> bool:
    """Whether an opening tag stands behind words that have not come to their end.

    `[thinking]` alone is a stage direction wherever it stands; the tag of models is `[THINK]`.
    """
    if tag[0] == "[" and tag != "[THINK]":
        return True
    line = text[text.rfind("\n", 0, start) + 1 : start].rstrip()
    return bool(line) and line[-1] not in ".!?…:>)]}*\"'`”’»。！？"


def _paired(tags: Sequence[_Tag], size: int, begin: int = 0) -> list[Span]:
    """The stretches between tags, from `begin` on; a tag within counts only where it closes."""
    spans: list[Span] = []
    opened: list[_Tag] = []
    for tag in tags:
        if not tag.closes:
            opened.append(tag)
        elif len(opened) > 1 and not tag.lone:
            opened.pop()
        elif opened:
            first = opened[0]
            opened.clear()
            spans.append(
                Span(first.start, tag.end, (first.end, tag.start), "both", (first.start, first.end))
            )
        elif not tag.lone:
            # The tag was opened before the text began, or once more than it was written.
            before = spans[-1].end if spans else begin
            spans.append(Span(before, tag.end, (before, tag.start), "close", (tag.start, tag.end)))
    for tag in opened:
        if not tag.mention:
            spans.append(Span(tag.start, size, (tag.end, size), "open", (tag.start, tag.end)))
            break
    return spans


class _Code:
    """Where code stands in a text that is written in Markdown, from `start` on."""

    def __init__(self, text: str, start: int = 0) -> None:
        self._fences: list[tuple[int, int]] = []
        self._inline: list[tuple[int, int]] = []
        if "```" in text or "~~~" in text:
            self._fences = list(_fences(text, start))
        if "`" in text:
            self._inline = [match.span() for match in _INLINE.finditer(text, start)]

    def covers(self, at: int) -> bool:
        """Whether a character stands in a fenced block or between backticks."""
        return _covers(self._fences, at) or _covers(self._inline, at)


def _covers(ranges: Sequence[tuple[int, int]], at: int) -> bool:
    index = bisect_right(ranges, (at, at)) - 1
    return index >= 0 and ranges[index][0] <= at < ranges[index][1]


def _fences(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Fenced blocks; one that never closes goes to the end of the text, as in CommonMark."""
    begin, mark = -1, ""
    for match in _FENCE.finditer(text, start):
        if begin < 0:
            if "`" not in match["info"] or match["mark"][0] == "~":
                begin, mark = match.start(), match["mark"]
        elif match["mark"].startswith(mark) and not match["info"].strip():
            yield begin, match.end()
            begin = -1
    if begin >= 0:
        yield begin, len(text)
