"""Folding deltas: order, shape and missing parts must not change what was said."""

from __future__ import annotations

import re
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from convtui.models.base import MOST_PARTS, Delta, ReplyFold, ToolCallDelta, Usage

Calls = list[tuple[str, str]]
_TWO_VALUES = re.compile(r"""\s*(\{.*\}|\[.*\]|".*")\s*["{\[]""", re.DOTALL)
"""Complete arguments with others behind them: these are two calls."""
arguments = st.text(max_size=30).filter(lambda text: not _TWO_VALUES.match(text))
calls = st.lists(st.tuples(st.sampled_from(["look_up", "book"]), arguments), max_size=4)


def fold(*deltas: Delta) -> ReplyFold:
    folded = ReplyFold()
    for delta in deltas:
        folded.add(delta)
    return folded


def pieces(number: int, name: str, arguments: str, size: int, indexed: bool) -> list[ToolCallDelta]:
    index = number if indexed else None
    head = ToolCallDelta(index, f"call_{number}", name)
    cut = [arguments[i : i + size] for i in range(0, len(arguments), size)]
    return [head, *(ToolCallDelta(index, arguments=part) for part in cut)]


def folded_calls(deltas: list[ToolCallDelta]) -> Calls:
    reply = fold(*(Delta(tool_calls=(piece,)) for piece in deltas)).reply()
    return [(call.name, call.arguments) for call in reply.tool_calls]


@given(texts=st.lists(st.text()), thoughts=st.lists(st.text()))
def test_text_and_reasoning_are_kept_apart(texts: list[str], thoughts: list[str]) -> None:
    reply = fold(*map(Delta, texts), *(Delta(reasoning=t) for t in thoughts)).reply()
    assert (reply.text, reply.reasoning) == ("".join(texts), "".join(thoughts))


@given(wanted=calls, size=st.integers(1, 7))
def test_calls_without_an_index_are_told_apart_by_id(wanted: Calls, size: int) -> None:
    found = [p for n, (name, args) in enumerate(wanted) for p in pieces(n, name, args, size, False)]
    assert folded_calls(found) == wanted


@given(wanted=calls, size=st.integers(1, 7), random=st.randoms())
def test_calls_with_an_index_may_interleave(wanted: Calls, size: int, random: Random) -> None:
    queues = [pieces(n, name, args, size, True) for n, (name, args) in enumerate(wanted)]
    mixed = []
    while any(queues):
        mixed.append(random.choice([queue for queue in queues if queue]).pop(0))
    assert folded_calls(mixed) == wanted


@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=20), text=st.text(max_size=60))
def test_chunking_does_not_matter(cuts: list[int], text: str) -> None:
    parts, rest = [], text
    for cut in cuts:
        parts.append(rest[:cut])
        rest = rest[cut:]
    assert fold(*map(Delta, [*parts, rest])).text == text


def test_an_id_repeated_in_every_piece_is_one_call() -> None:
    found = [ToolCallDelta(None, "a", "f" if n == 0 else None, part) for n, part in enumerate("{}")]
    assert folded_calls(found) == [("f", "{}")]


def test_arguments_before_any_id_make_a_call() -> None:
    reply = fold(Delta(tool_calls=(ToolCallDelta(arguments="{}"),))).reply()
    assert (reply.tool_calls[0].id, reply.tool_calls[0].arguments) == ("call_0", "{}")


def test_a_reply_without_a_finish_reason_has_none() -> None:
    reply = fold(Delta("a"), Delta(metadata={"x": 1}), Delta(model="m", response_id="r")).reply()
    assert reply.finish_reason is None
    assert (reply.text, reply.model, reply.response_id, reply.metadata) == ("a", "m", "r", {"x": 1})


def test_unknown_usage_stays_unknown() -> None:
    total = Usage(prompt_tokens=3).plus(Usage(prompt_tokens=4, cost=0.5))
    assert (total.prompt_tokens, total.completion_tokens, total.cost) == (7, None, 0.5)


@given(text=st.text(alphabet="ab\ud83d\ude80é🚀"), cuts=st.lists(st.integers(1, 3)))
def test_halves_of_characters_are_joined_wherever_they_are_cut(text: str, cuts: list[int]) -> None:
    folded, rest, seen = ReplyFold(), text, ""
    for cut in [*cuts, len(text)]:
        folded.add(Delta(rest[:cut], reasoning=rest[:cut]))
        rest = rest[cut:]
        # What has been shown is not taken back.
        assert folded.text.startswith(seen)
        seen = folded.text
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert (folded.reply().text, folded.reply().reasoning) == (whole, whole)


def test_usage_of_later_deltas_is_not_added_up() -> None:
    counts = [Usage(prompt_tokens=100, completion_tokens=n) for n in (1, 2, 3)]
    used = fold(*(Delta(usage=usage) for usage in [*counts, Usage()])).reply().usage
    assert used == counts[-1]


def test_more_parts_than_are_kept_are_counted() -> None:
    part = {"type": "image_url"}
    parts = fold(*(Delta(parts=(part,)) for _ in range(MOST_PARTS + 3))).reply().parts
    assert parts == [*[part] * MOST_PARTS, {"type": "more", "count": 3}]


def test_one_refused_piece_makes_a_refusal() -> None:
    assert fold(Delta("a"), Delta("No.", refused=True), Delta("b")).reply().refused
    assert not fold(Delta("a")).reply().refused
