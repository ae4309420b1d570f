"""Putting tool calls together: whatever servers do with indexes, ids, names and arguments."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.models.base import ToolCallDelta
from convtui.models.calls import CallFold, distinct

OSLO, KIEL = '{"city": "Oslo"}', '{"city": "Kiel"}'
TRIP = "find_trip"
NAMES = ("find_trip", "get_time", "get_date")
Piece = tuple[Any, Any, Any, str]


def fold(pieces: list[Piece], names: tuple[str, ...] = ()) -> tuple[list[Any], list[str]]:
    calls = CallFold(names)
    for piece in pieces:
        calls.add(ToolCallDelta(*piece))
    made, doubts = calls.result()
    return [(call.id, call.name, call.arguments) for call in made], doubts


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        # every call at index 0
        ([(0, "a", TRIP, OSLO), (0, "b", TRIP, KIEL)], [("a", OSLO), ("b", KIEL)]),
        ([(0, "a", TRIP, OSLO), (0, "b", TRIP, OSLO)], [("a", OSLO), ("b", OSLO)]),
        (
            [(0, "a", TRIP, ""), (0, None, None, OSLO[:7]), (0, None, None, OSLO[7:]),
             (0, "b", TRIP, ""), (0, None, None, KIEL[:7]), (0, None, None, KIEL[7:])],
            [("a", OSLO), ("b", KIEL)],
        ),
        # one id for every call
        ([(0, "a", TRIP, OSLO), (0, "a", TRIP, KIEL)], [("a", OSLO), ("a", KIEL)]),
        ([(0, "a", TRIP, OSLO), (1, "a", TRIP, KIEL)], [("a", OSLO), ("a", KIEL)]),
        (
            [(0, "a", TRIP, ""), (0, "a", None, OSLO[:7]), (0, "a", None, OSLO[7:]),
             (0, "a", TRIP, ""), (0, "a", None, KIEL[:7]), (0, "a", None, KIEL[7:])],
            [("a", OSLO), ("a", KIEL)],
        ),
        # no id
        ([(0, None, TRIP, OSLO), (0, None, TRIP, KIEL)], [("call_0", OSLO), ("call_1", KIEL)]),
        ([(None, "", TRIP, OSLO), (None, "", TRIP, KIEL)], [("call_0", OSLO), ("call_1", KIEL)]),
        (
            [(0, None, TRIP, OSLO[:9]), (0, None, None, OSLO[9:]), (0, None, TRIP, KIEL)],
            [("call_0", OSLO), ("call_1", KIEL)],
        ),
        # id and name with every piece
        (
            [(0, "a", TRIP, OSLO[:4]), (0, "a", TRIP, OSLO[4:9]), (0, "a", TRIP, OSLO[9:])],
            [("a", OSLO)],
        ),
        (
            [(0, "a", TRIP, ""), (0, "a", TRIP, OSLO[:9]), (0, "a", TRIP, OSLO[9:]),
             (0, "a", TRIP, "")],
            [("a", OSLO)],
        ),
        (
            [(0, "a", None, OSLO[:4]), (0, "b", TRIP, KIEL[:4]), (0, "a", TRIP, OSLO[4:]),
             (0, "b", None, KIEL[4:])],
            [("a", OSLO), ("b", KIEL)],
        ),
        # the name in pieces, or all of it so far with every piece
        ([(0, "a", "find_", ""), (0, "a", "trip", ""), (0, None, None, OSLO)], [("a", OSLO)]),
        ([(0, "a", "find", ""), (0, "a", "find_trip", OSLO)], [("a", OSLO)]),
        # the id late
        ([(0, None, TRIP, ""), (0, "a", None, OSLO)], [("a", OSLO)]),
        ([(None, None, TRIP, OSLO), (None, "a", None, "")], [("a", OSLO)]),
        ([(0, None, TRIP, OSLO[:5]), (0, "a", None, OSLO[5:]), (0, "b", TRIP, KIEL)],
         [("a", OSLO), ("b", KIEL)]),
        # the index on the first piece only, or on the others only
        ([(0, "a", TRIP, OSLO[:5]), (None, None, None, OSLO[5:])], [("a", OSLO)]),
        ([(None, "a", TRIP, OSLO[:5]), (0, None, None, OSLO[5:])], [("a", OSLO)]),
        # the whole once more
        ([(0, "a", TRIP, OSLO), (0, "a", TRIP, OSLO)], [("a", OSLO)]),
        ([(0, "a", TRIP, OSLO[:5]), (0, "a", None, OSLO[5:]), (0, "a", TRIP, OSLO)], [("a", OSLO)]),
        # what stands behind the arguments is the model's own
        ([(0, "a", TRIP, OSLO), (0, None, None, "}")], [("a", OSLO + "}")]),
        ([(0, "a", TRIP, OSLO), (0, None, None, "\n")], [("a", OSLO + "\n")]),
        ([(0, "a", TRIP, '{"city": "a}{b\\"}"}')], [("a", '{"city": "a}{b\\"}"}')]),
        # cut off, null, a list, a string: as they were written
        ([(0, "a", TRIP, OSLO[:12])], [("a", OSLO[:12])]),
        ([(0, "a", TRIP, "null")], [("a", "null")]),
        ([(0, "a", TRIP, '["Oslo"]')], [("a", '["Oslo"]')]),
        ([(0, "a", TRIP, json.dumps(OSLO)), (0, "b", TRIP, json.dumps(KIEL))],
         [("a", json.dumps(OSLO)), ("b", json.dumps(KIEL))]),
        # nothing at all
        ([(0, None, None, "")], []),
        ([(0, "a", TRIP, ""), (0, None, None, "")], [("a", "")]),
    ],
)  # fmt: skip
def test_pieces_that_can_be_read_in_one_way(
    pieces: list[Piece], expected: list[tuple[str, str]]
) -> None:
    assert fold(pieces) == ([(i, TRIP, arguments) for i, arguments in expected], [])


@pytest.mark.parametrize(
    ("pieces", "expected", "doubt"),
    [
        # more arguments without a name
        ([(0, "a", TRIP, OSLO), (0, None, None, KIEL)], [OSLO, KIEL], "taken as another call"),
        ([(0, "a", TRIP, OSLO + KIEL)], [OSLO, KIEL], "taken as another call"),
        ([(0, "a", TRIP, OSLO[:5]), (0, None, None, OSLO[5:] + KIEL[:4]),
          (0, None, None, KIEL[4:])], [OSLO, KIEL], "taken as another call"),
        # twice the same, and nothing to tell them apart
        ([(0, None, TRIP, OSLO), (0, None, TRIP, OSLO)], [OSLO], "came twice"),
        ([(0, "a", TRIP, OSLO), (0, None, None, OSLO)], [OSLO], "came twice"),
        ([(0, "a", TRIP, OSLO), (0, None, None, OSLO[:5]), (0, None, None, OSLO[5:])],
         [OSLO], "came twice"),
        # an empty object in place of arguments that come later
        ([(0, "a", TRIP, "{}"), (0, None, None, OSLO[:5]), (0, None, None, OSLO[5:])],
         [OSLO], "{} came before"),
        # the arguments so far with every piece
        ([(0, "a", TRIP, OSLO[:5]), (0, "a", None, OSLO[:9]), (0, "a", None, OSLO)],
         [OSLO], "each piece repeats"),
        # a new index, or a new id, with every piece
        ([(0, "a", TRIP, ""), (1, None, None, OSLO[:5]), (2, None, None, OSLO[5:])],
         [OSLO], "several indexes or ids"),
        ([(0, "a", TRIP, ""), (0, "b", None, OSLO[:5]), (0, "c", None, OSLO[5:])],
         [OSLO], "several indexes or ids"),
        # the name in pieces, and no id to say so
        ([(0, None, "find_", ""), (0, None, "trip", OSLO)], None, ""),
        ([(0, None, "find_", ""), (0, None, "trip", ""), (0, None, None, OSLO)],
         [OSLO], "put together from 'find_' and 'trip'"),
    ],
)  # fmt: skip
def test_pieces_that_leave_a_doubt(
    pieces: list[Piece], expected: list[str] | None, doubt: str
) -> None:
    calls, doubts = fold(pieces)
    if expected is None:
        # A name with arguments of its own begins a call, unless the tools say otherwise.
        assert [name for _, name, _ in calls] == ["find_", "trip"]
        assert fold(pieces, NAMES) == ([("call_0", TRIP, OSLO)], [])
        return
    assert [(name, arguments) for _, name, arguments in calls] == [(TRIP, a) for a in expected]
    assert len(doubts) == 1
    assert doubt in doubts[0]
    assert doubts[0].startswith(f"{TRIP}: ")


@pytest.mark.parametrize(
    ("pieces", "names"),
    [
        ([(0, "a", TRIP, OSLO), (0, "a", "get_time", "{}")], [TRIP, "get_time"]),
        ([(0, None, TRIP, OSLO[:9]), (0, None, "get_time", "{}")], [TRIP, "get_time"]),
        ([(0, None, "get_time", ""), (0, None, "get_date", "")], ["get_time", "get_date"]),
        ([(0, None, "get_time", ""), (0, None, "get_date", "{}")], ["get_time", "get_date"]),
    ],
)
def test_a_second_name_begins_a_call(pieces: list[Piece], names: list[str]) -> None:
    calls, doubts = fold(pieces, NAMES)
    assert [name for _, name, _ in calls] == names
    assert not doubts


def test_arguments_without_a_name_are_kept_and_doubtful() -> None:
    calls, doubts = fold([(None, None, None, "{}")])
    assert calls == [("call_0", "", "{}")]
    assert doubts == ["a call without a name: arguments came with no name"]


def test_looking_at_the_calls_so_far_changes_nothing() -> None:
    calls = CallFold()
    for piece in (
        ToolCallDelta(0, "a", TRIP, ""),
        ToolCallDelta(1, None, None, OSLO[:5]),
        ToolCallDelta(2, None, None, OSLO[5:]),
    ):
        calls.add(piece)
        calls.result()
    (made,), doubts = calls.result()
    assert (made.arguments, len(doubts)) == (OSLO, 1)


def test_a_made_up_id_is_no_id_of_another_call() -> None:
    calls, _ = fold([(0, "call_0", TRIP, OSLO), (1, None, TRIP, KIEL), (2, "call_1", TRIP, "{}")])
    assert [call_id for call_id, _, _ in calls] == ["call_0", "call_2", "call_1"]


def test_ids_that_clash_are_made_distinct_for_messages() -> None:
    calls = CallFold()
    for index, arguments in enumerate((OSLO, KIEL)):
        calls.add(ToolCallDelta(index, "a", TRIP, arguments))
    made, _ = calls.result()
    assert [call.id for call in made] == ["a", "a"]
    assert [call.id for call in distinct(made)] == ["a", "a_2"]


def test_a_hostile_name_in_a_doubt_is_one_short_line() -> None:
    _, doubts = fold([(0, "a", "x\n\x1b[2J" * 50, OSLO + KIEL)])
    assert "\n" not in doubts[0]
    assert len(doubts[0]) < 200


cities = st.dictionaries(
    st.sampled_from(["city", "day"]),
    st.one_of(st.text(max_size=12), st.integers(), st.lists(st.text(max_size=3), max_size=2)),
    min_size=1,
)
SERVERS = ("indexed", "no index", "index 0", "id everywhere", "id and name everywhere", "no id")


@given(
    wanted=st.lists(cities, min_size=1, max_size=4, unique_by=json.dumps),
    server=st.sampled_from(SERVERS),
    size=st.integers(1, 9),
    together=st.booleans(),
)
def test_every_kind_of_server_gives_the_same_calls(
    wanted: list[dict[str, Any]], server: str, size: int, together: bool
) -> None:
    pieces: list[Piece] = []
    for number, arguments in enumerate(map(json.dumps, wanted)):
        index = {"indexed": number, "no index": None}.get(server, 0)
        call_id = None if server == "no id" else f"id_{number}"
        cut = [arguments[i : i + size] for i in range(0, len(arguments), size)]
        head = [cut.pop(0)] if together else [""]
        everywhere = server.startswith("id")
        for place, part in enumerate([*head, *cut]):
            first = place == 0
            pieces.append((
                index,
                call_id if first or everywhere else None,
                TRIP if first or server == "id and name everywhere" else None,
                part,
            ))  # fmt: skip
    calls, doubts = fold(pieces)
    assert [json.loads(arguments) for _, _, arguments in calls] == wanted
    assert {name for _, name, _ in calls} == {TRIP}
    assert not doubts


@given(
    pieces=st.lists(
        st.tuples(
            st.sampled_from([None, 0, 1]),
            st.sampled_from([None, "", "a", "b"]),
            st.sampled_from([None, "f", "g", "fg"]),
            st.sampled_from(["", "{", "}", "{}", '"', "\\", '{"a": 1}', "1", " "]),
        ),
        max_size=12,
    ),
    names=st.sampled_from([(), ("f", "g"), ("fg",)]),
    random=st.randoms(),
)
def test_nothing_is_too_odd(pieces: list[Piece], names: tuple[str, ...], random: Random) -> None:
    calls, _ = fold(pieces, names)
    ids = [call_id for call_id, _, _ in calls]
    assert all(ids)
    assert all(name or arguments.strip() for _, name, arguments in calls)
