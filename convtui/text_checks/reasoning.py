"""Finds the reasoning in a reply, and the reply without it.

Models mark their reasoning in many ways. All of them are recognised here, so that replies,
decisions, termination signals and the screen agree on what is reasoning and what is not:

* XML-like tags, with attributes, a namespace or HTML escapes: `<think>`, `<thinking>`, `<thought>`,
  `<reasoning>`, `<scratchpad>`, `<inner_monologue>`, `<chain_of_thought>`, `<seed:think>`;
* `[THINK] ... [/THINK]`, `◁think▷ ... ◁/think▷`, `<think_start> ... <think_end>`;
* `<|begin_of_thought|> ... <|end_of_thought|>`, `<|START_THINKING|> ... <|END_THINKING|>`,
  `<|inner_prefix|> ... <|inner_suffix|>`, `<unused94>thought ... <unused95>`;
* channels: `<|channel|>analysis<|message|> ... <|end|>`, `<|channel>thought ... <channel|>`, and
  what is left of them where the special tokens were dropped (`analysis ... assistantfinal`);
* `Here is my thought process: ... Here is my response:`;
* what is folded away in `<details type="reasoning">`, and `<analysis>`, `<rationale>`, `<reason>`,
  `<internal>`, `<monologue>`, `<deliberation>` around the beginning of a text that goes on.

A closing tag alone makes everything before it reasoning (chat templates open the tag in the
prompt), an opening tag alone everything after it (the reply was cut off). Tags in code, fenced or
inline, or in quotation marks, and unpaired tags in mid-sentence ("what does <think> mean?", "it
ends with the </think> tag") are text about tags and are left alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from convtui.text.boundary import near_empty

_NEEDLES: Final = (
    "think", "thought", "reason", "scratch", "monolog", "channel", "inner_prefix", "inner_suffix",
    "<unused9", "<cot", ";cot", "reflection",
)  # fmt: skip
"""A text without any of these, in lower case, has no tag."""

_SIGNS: Final = ("<", "&", "[", "◁", "＜")
"""First characters of tags."""
_BEGINNINGS: Final = (
    "analysis", "here is my", "here's my", "<details", "<analysis", "<rationale", "<reason>",
    "<internal>", "<monologue", "<deliberation",
)  # fmt: skip
"""Beginnings of the forms that are recognised by their beginning only."""
_HEAD: Final = 60
_REMEMBERED: Final = 4_000
"""Characters of a text whose spans are remembered."""

_NAME: Final = (
    r"(?:[a-z]{2,10}[_-](?:of[_-])?)?"
    r"(?:(?:ant)?think(?:ing)?(?:[ _-]?process)?|thoughts?(?:[ _-]?process)?"
    r"|reasoning(?:[ _-](?:content|process|trace))?|scratch_?pad|chain[ _-]of[ _-]thought|cot"
    r"|(?:inner|internal|private)[ _-]?(?:monolog(?:ue)?|thoughts?|thinking)|reflection)"
)
_TAG: Final = re.compile(
    rf"(?:\\?<|&lt;|＜)\s{{0,3}}(?P<close>/|end[_-](?:of[_-])?)?\s{{0,3}}"
    rf"(?:[a-z][\w.-]{{0,15}}:)?{_NAME}(?:[_-](?:start|begin|(?P<close8>end)))?"
    r"(?:\s[^<>]{0,200}?)?\s{0,3}(?P<self>/)?(?:\\?>|&gt;|＞)"
    r"|\[(?P<close2>/)?(?:think(?:ing)?|thoughts?|reasoning)\]"
    r"|◁\s?(?P<close3>/)?\s?think(?:ing)?\s?▷"
    r"|<[|｜](?:(?P<close4>end[_▁](?:of[_▁])?|/)|(?:begin|start)[_▁](?:of[_▁])?)?"
    r"(?:think(?:ing)?|thoughts?)(?:[_▁](?:start|begin|(?P<close9>end)))?[|｜]>"
    r"|<\|inner_(?:prefix|(?P<close5>suffix))\|>"
    r"|<unused9(?:4>(?:thoughts?\b)?|(?P<close6>5)>)"
    r"|<\|channel\|?>\s{0,4}(?:analysis|commentary|thoughts?|thinking|reasoning)\b"
    r"(?:[^<\n]{0,80}(?:<\|constrain\|>\w{0,16})?<\|message\|>)?"
    r"|(?P<close7>(?:<\|end\|>\s*)?(?:<\|start\|>\s{0,4}assistant)?<\|channel\|?>\s{0,4}final"
    r"(?:\s*<\|constrain\|>\w{0,16})?(?:\s*<\|message\|>)?|<channel\|>)"
    r"|(?P<lone><\|(?:end|call)\|>)",
    re.IGNORECASE,
)
_CLOSES: Final = ("close", *(f"close{number}" for number in range(2, 10)))
_MARKERS: Final = re.compile(
    r"<\|(?:return|end|assistant|im_end|(?:start|end)_response|(?:begin|end)_of_solution)\|>"
    r"|<\|start\|>\s{0,4}assistant\b",
    re.IGNORECASE,
)
"""Special tokens around the visible text of a reply in channels."""
_DROPPED: Final = re.compile(r"\s*analysis(?=[A-Z\"'\s]).*?assistantfinal:?", re.DOTALL)
_PROCESS: Final = re.compile(
    r"\s*\**here(?:'s| is) my (?:thought process|reasoning)(?: process)?:.*?"
    r"^\**here(?:'s| is) my (?:response|answer):\**",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_FOLDED: Final = re.compile(
    r"\s*(?P<tag><details\s[^>]{0,200}?type=[\"']?reasoning\b[^>]{0,200}>"
    r"|<details[^>]{0,200}>(?=\s*<summary>\s*(?:thinking|thought|reasoning|chain of thought)\b))"
    r"(?P<inner>.*?)(?:</details>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_PREFACE: Final = re.compile(
    r"\s*(?P<tag><(analysis|rationale|reason|internal|monologue|deliberation)>)"
    r"(?P<inner>.*?)</\2>(?=\s*\S)",
    re.DOTALL | re.IGNORECASE,
)
"""Tags that are also used for visible text: only pairs at the beginning of a text count."""
_ABOUT: Final = re.compile(
    r"\b(?:the|an?|your|its|this|that|with|writes?|uses?|using|and|or|closing|ending|missing|called|"
    r"tags?|tokens?|prints?|after|before|without)\s+$",
    re.IGNORECASE,
)
"""Words before a tag that is mentioned, not used."""
_BETWEEN: Final = frozenset(
    {"and", "or", "and/or", "/", ",", "...", "…", "to", "und", "oder", "et"}
)
"""Words between two tags that are mentioned, not used."""
_FENCE: Final = re.compile(r"^ {0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE)
_INLINE: Final = re.compile(r"(?<!`)(`{1,2})(?!`)(?:(?!\n\s*\n)[^`]|(?!\1)`)+?(?<!`)\1(?!`)")
_QUOTES: Final = {'"': '"', "'": "'", "“": "”", "‘": "’", "„": "“", "«": "»"}

TagRule = Literal["both", "open", "close", "words"]


class Span(NamedTuple):
    """A stretch of reasoning with its tags: characters `start` to `end` of the text.

    `inner` excludes the tags, `rule` says which tags were there (`words` for forms without tags),
    `tag` is the first tag.
    """

    start: int
    end: int
    inner: tuple[int, int]
    rule: TagRule
    tag: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Split:
    """A text split into what is shown and its reasoning."""

    text: str
    """The text without reasoning and tags."""
    reasoning: str
    """The reasoning without tags; separate spans are joined by empty lines."""
    spans: tuple[Span, ...] = ()
    """The spans of the reasoning in the original text."""


def split_reasoning(text: str) -> Split:
    """`text` without its reasoning, and the reasoning by itself."""
    spans = reasoning_spans(text)
    if not spans:
        return Split(text, "")
    kept: list[str] = []
    end = 0
    for span in spans:
        kept.append(_unmarked(text[end : span.start]))
        end = span.end
        while end < len(text) and text[end].isspace():
            end += 1
    kept.append(_unmarked(text[end:]))
    thoughts = (text[span.inner[0] : span.inner[1]].strip() for span in spans)
    return Split("".join(kept).strip(), "\n\n".join(filter(None, thoughts)), spans)


def _unmarked(words: str) -> str:
    return _MARKERS.sub("", words) if "<|" in words else words


def without_reasoning(text: str) -> str:
    return split_reasoning(text).text if reasoning_spans(text) else text


def says_nothing(text: str) -> bool:
    """Whether a text has no letter and no digit outside of its reasoning."""
    return near_empty(text) or near_empty(without_reasoning(text))


def reasoning_size(text: str) -> int:
    """How many characters of a text are reasoning, tags included."""
    return sum(span.end - span.start for span in reasoning_spans(text))


def is_inside(spans: Sequence[Span], start: int, end: int) -> bool:
    """Whether characters `start` to `end` lie wholly in one of the spans."""
    return any(span.start <= start and end <= span.end for span in spans)


def reasoning_spans(text: str) -> tuple[Span, ...]:
    """The spans of reasoning in a text, in order, without overlaps."""
    if text.__class__ is str and len(text) <= _REMEMBERED:
        return _spans_remembered(text)
    return _spans(text)


@lru_cache(maxsize=64)
def _spans_remembered(text: str) -> tuple[Span, ...]:
    """Every stage of a turn asks for them."""
    return _spans(text)


def _spans(text: str) -> tuple[Span, ...]:
    # Nearly every text has none: a quick check first.
    if text[:_HEAD].lstrip(" \r\n\t*").lower().startswith(_BEGINNINGS):
        for pattern in (_DROPPED, _PROCESS, _FOLDED, _PREFACE):
            match = pattern.match(text)
            if match is not None:
                end = match.end()
                first = Span(0, end, (0, end), "words", (0, 0))
                if "tag" in match.groupdict():
                    first = Span(0, end, match.span("inner"), "both", match.span("tag"))
                return (first, *(_moved(span, end) for span in _tagged(text[end:])))
    return _tagged(text)


def _moved(span: Span, by: int) -> Span:
    (inner, inner_end), (tag, tag_end) = span.inner, span.tag
    return Span(
        span.start + by,
        span.end + by,
        (inner + by, inner_end + by),
        span.rule,
        (tag + by, tag_end + by),
    )


def _tagged(text: str) -> tuple[Span, ...]:
    """The reasoning inside tags."""
    if not any(map(text.__contains__, _SIGNS)):
        return ()
    lowered = text.lower()
    if not any(needle in lowered for needle in _NEEDLES):
        return ()
    if _TAG.search(text) is None:
        return ()
    code = _Code(text)
    spans = _paired(list(_tags(text, code, in_code=False)), text)
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
            return (*spans[:-1], closed, *_paired(rest, text, first.end))
    return tuple(spans)


class _Tag(NamedTuple):
    start: int
    end: int
    closes: bool
    lone: bool
    """Whether it closes what is open, and means nothing where nothing is."""
    mention: bool
    """Whether it stands in mid-sentence: a tag without its partner is a word there."""


def _tags(text: str, code: _Code, *, in_code: bool) -> Iterator[_Tag]:
    for match in _TAG.finditer(text):
        start, end = match.span()
        if match["self"] or _is_quoted(text, start, end):
            continue
        if not in_code and code.covers(start):
            continue
        lone = match["lone"] is not None
        closes = lone or any(match[name] for name in _CLOSES)
        mention = (
            _is_talked_of(text, start, end) if closes else _in_sentence(text, start, end, match[0])
        )
        yield _Tag(start, end, closes, lone, mention)


def _is_quoted(text: str, start: int, end: int) -> bool:
    """Whether a tag stands directly between quotation marks."""
    if not start or end >= len(text):
        return False
    return _QUOTES.get(text[start - 1]) == text[end]


def _is_talked_of(text: str, start: int, end: int) -> bool:
    """Whether a sentence is about a closing tag: "it ends with the </think> tag"."""
    if end < len(text) and not (text[end].isspace() or text[end] in ".,;:!?)"):
        return False
    following = text[end : end + 40].lstrip()[:1]
    return not following.isupper() and _ABOUT.search(text[max(0, start - 40) : start]) is not None


def _in_sentence(text: str, start: int, end: int, tag: str) -> bool:
    """Whether an opening tag stands behind words that have not come to their end.

    `[thinking]` alone is a stage direction wherever it stands; the tag of models is `[THINK]`.
    """
    if tag[0] == "[" and tag != "[THINK]":
        return True
    if text[end : end + 1].isalpha():
        return False
    line = text[text.rfind("\n", 0, start) + 1 : start].rstrip()
    return bool(line) and line[-1] not in ".!?…:>)]}*\"'`”’»。！？"


def _paired(tags: Sequence[_Tag], text: str, begin: int = 0) -> list[Span]:
    """The spans between tags from `begin` on; a nested tag counts only if it is closed."""
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
            between = text[first.end : tag.start].strip().lower()
            if (
                between in _BETWEEN
                and text[text.rfind("\n", 0, first.start) + 1 : first.start].strip()
            ):
                continue  # "the tags <think> and </think>"
            spans.append(
                Span(first.start, tag.end, (first.end, tag.start), "both", (first.start, first.end))
            )
        elif not tag.lone and not tag.mention:
            # The tag was opened before the text began, or once more than it was written.
            before = spans[-1].end if spans else begin
            spans.append(Span(before, tag.end, (before, tag.start), "close", (tag.start, tag.end)))
    for tag in opened:
        if not tag.mention:
            size = len(text)
            spans.append(Span(tag.start, size, (tag.end, size), "open", (tag.start, tag.end)))
            break
    return spans


class _Code:
    """The code in a Markdown text, from `start` on."""

    def __init__(self, text: str, start: int = 0) -> None:
        self._fences: list[tuple[int, int]] = []
        self._inline: list[tuple[int, int]] = []
        if "```" in text or "~~~" in text:
            self._fences = list(_fences(text, start))
        if "`" in text:
            self._inline = [match.span() for match in _INLINE.finditer(text, start)]

    def covers(self, at: int) -> bool:
        """Whether a character is in a fenced block or between backticks."""
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
