"""A thousand damaged files of a fixed seed, and everything that ever crashed."""

from __future__ import annotations

import json
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from convtui.records.codec import RecordDict, encode
from tests.builders.rich_log import replaced, rich_records
from tests.fuzz.fuzzing import Failure, TooLong, attempt, fuzz, smaller, time_limit
from tests.fuzz.mutations import MUTATIONS, mutated, raw, written
from tests.fuzz.readers import (
    FILE_READERS,
    LOG_READERS,
    NOTE_READERS,
    RESULT_READERS,
    WIRE_READERS,
    Reader,
)
from tests.fuzz.samples import Sample, files, logs

SEED = 20_260_304
COUNT = 1000
BATCH = 100


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    folder = tmp_path_factory.mktemp("samples")
    return [*logs(folder), *files(folder)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVTUI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("first", range(0, COUNT, BATCH))
def test_no_damage_is_a_crash(samples: list[Sample], tmp_path: Path, first: int) -> None:
    numbers, folder = range(first, first + BATCH), tmp_path / "work"
    *_, figures = fuzz(samples, numbers, seed=SEED, folder=folder, readers=1, rarely=0.0)
    assert figures.files == BATCH
    assert not figures.failures, "\n".join(f.trace for f in figures.failures.values())


# --- what once crashed


def at(kind: str, *path: Any, value: Any, nth: int = 0) -> list[RecordDict]:
    """The log with every field, with another value in a record of a type."""
    records = rich_records()
    places = [place for place, record in enumerate(records) if record["type"] == kind]
    records[places[nth]] = replaced(records[places[nth]], path, value)
    return records


LOGS: dict[str, list[RecordDict]] = {
    "show: session is text": at("turn.committed", "session", value="one"),
    "show: session is a list": at("turn.committed", "session", value=[1]),
    "show --debug: t is huge": at("provider.setup", "t", value=10**400),
    "show --debug: duration is huge": at("provider.setup", "duration", value=10**400),
    "check: keep is infinite": at("llm.request", "keep", value=math.inf, nth=1),
    "check: keep is a list": at("llm.request", "keep", value=[1], nth=1),
    "check: base is another's": at("llm.request", "base", value=3, nth=1),
    "check: base is of an unknown type": [
        *at("llm.request", "base", value=4, nth=1)[:4],
        {"seq": 4, "t": 1.0, "type": "unknown", "append": [{}], "keep": [1], "base": {}},
        *at("llm.request", "base", value=4, nth=1)[5:],
    ],
    "compare: matches are lists": at("signals.extracted", "matches", value=[["x"], 7, None]),
    "compare: a match without a signal": at("signals.extracted", "matches", value=[{}]),
    "export: nested deep": at(
        "llm.request", "append", 0, "content", value=json.loads('{"a":[' * 400 + "]}" * 400)
    ),
    "export: a result nested deep": at(
        "tool.returned", "result", value=json.loads("[" * 700 + "]" * 700)
    ),
    "export to vera: no such day": at("header", "created_at", value="2026-13-45"),
    "export to vera: the last year": at("header", "created_at", value="9999-12-31T23:59:59-12:00"),
    "export to vera: the first year": at("header", "created_at", value="0001-01-01T00:00:00+14:00"),
    "export to vera: half a character": at("header", "created_at", value="2026-\ud800"),
    "export to vera: t is text": at("turn.committed", "t", value="later"),
    "export to vera: t is beyond all dates": at("turn.committed", "t", value=1e15),
    "export to vera: a long name": at("header", "provider", "name", value="n" * 400),
    "export to vera: a long persona": at("header", "persona", value="p" * 5000),
    "export to vera: a long session": at("session.started", "session_type", value="s" * 5000),
    "export to vera: a provider in one word": at("header", "scenario", "provider", value="demo"),
    "export to vera: options in one word": at(
        "header", "scenario", "provider", value={"use": "demo", "options": "none"}
    ),
    "export to vera: options in a list": at(
        "header", "scenario", "provider", value={"use": "demo", "options": [1]}
    ),
    "runs: a budget in words": at("budget.raised", "limit", value="more"),
    "a NUL in a path": at("header", "parents", 0, "file", value="a\x00b"),
    "a long path": at("header", "parents", 0, "file", value="a/" * 5000),
}


@pytest.mark.parametrize("name", LOGS)
def test_what_once_crashed_a_reader_of_logs(name: str, tmp_path: Path) -> None:
    """The one that the name begins with, in all its forms; where it names none, every one."""
    data = b"".join(map(encode, LOGS[name]))
    command, colon, _ = name.partition(":")
    first = command.split()[0] if colon else ""
    readers = [r for r in LOG_READERS if not r.rare and r.name.startswith(first)]
    assert readers
    for reader in readers:
        place, trace, _ = attempt(reader, data, ".jsonl", tmp_path / "work")
        assert not place, trace


HERMES: dict[str, Any] = {"session_id": "s1", "messages": [{"role": "user", "content": "hello"}]}
FILES: dict[str, Any] = {
    "waza: a type that is a list": {"timestamp": 1, "type": ["a"]},
    "hermes: a role that is a list": replaced(HERMES, ("messages", 0, "role"), ["user"]),
    "hermes: a call of a list": {
        **HERMES,
        "messages": [
            *HERMES["messages"],
            {"role": "assistant", "tool_calls": [{"id": "c", "function": [{"name": "x"}]}]},
        ],
    },
}


@pytest.mark.parametrize("name", FILES)
def test_what_once_crashed_an_import(name: str, tmp_path: Path) -> None:
    for data, ending in ((FILES[name], ".json"), ({"id": "s", **FILES[name]}, ".jsonl")):
        line = json.dumps(data).encode() + b"\n"
        for reader in FILE_READERS:
            place, trace, _ = attempt(reader, line, ending, tmp_path / "work")
            assert not place, trace


BESIDE: dict[str, tuple[Reader, bytes]] = {
    "notes: a session that is true": (
        NOTE_READERS[0],
        b'{"session":true,"turn":1,"mark":true}\n{"session":1,"turn":false,"note":"x"}\n',
    ),
    "tool results: nested deep": (
        RESULT_READERS[0],
        b'{"seq":1,"id":"c","name":"n","text":' + b"[" * 3000 + b"]" * 3000 + b"}\n",
    ),
    "wire: a number that is none, and other shapes": (
        WIRE_READERS[0],
        b'{"n":Infinity,"method":"POST","url":"x"}\n'
        b'{"n":1,"method":"POST","url":"x","duration":' + b"9" * 400 + b"}\n"
        b'{"n":1,"method":"POST","url":"x","request":["x"]}\n',
    ),
    "wire: a body nested deep": (
        WIRE_READERS[0],
        b'{"n":1,"at":"now","call":1,"method":"POST","url":"http://x","request":{"headers":[],"body":'
        b'{"text":"' + b"[" * 5000 + b'"}}}\n',
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_what_once_crashed_a_reader_of_what_stands_beside_logs(name: str, tmp_path: Path) -> None:
    reader, data = BESIDE[name]
    place, trace, _ = attempt(reader, data, ".jsonl", tmp_path / "work")
    assert not place, trace


# --- the fuzzer itself


def test_the_same_number_is_the_same_damage(samples: list[Sample]) -> None:
    import random

    for number in range(40):
        once, again = (mutated(samples[0].data, random.Random(f"1:{number}")) for _ in range(2))
        assert once == again


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_way_damages(name: str, samples: list[Sample]) -> None:
    import random

    data = samples[0].data
    changed = [MUTATIONS[name](data, random.Random(number)) for number in range(5)]
    assert any(other != data for other in changed)


def test_what_python_would_not_write_is_written() -> None:
    assert written({"a": raw("NaN"), "b": [raw('{"c":1e999}')]}) == b'{"a":NaN,"b":[{"c":1e999}]}'


def test_a_crash_is_found_and_made_small(tmp_path: Path) -> None:
    def fragile(path: Path, folder: Path) -> None:
        if b'"words": 99' in path.read_bytes() or b'"words":99' in path.read_bytes():
            raise ZeroDivisionError("99 words")

    lines = [b'{"words": %d}' % number for number in range(200)]
    reader = Reader("fragile", fragile)
    data = b"\n".join(lines)
    place, trace, _ = attempt(reader, data, ".jsonl", tmp_path / "work")
    assert place.startswith("ZeroDivisionError")
    failure = Failure(0, "s", "d", "fragile", place, trace, data, ".jsonl")
    assert smaller(failure, reader, tmp_path / "work") == b'{"words": 99}'


def test_what_does_not_end_is_ended() -> None:
    with pytest.raises(TooLong, match="more than"), time_limit(0.05):
        while True:
            pass


def test_what_waits_for_ever_is_ended() -> None:
    with pytest.raises(TooLong, match="hangs"), time_limit(60, hangs=0.05):
        threading.Event().wait()
