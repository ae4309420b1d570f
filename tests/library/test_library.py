"""The library: what the index answers is what the logs say, whatever happens to either."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convtui.errors import IndexFailure
from convtui.filters.atoms import ATOMS
from convtui.filters.filter import parse
from convtui.filters.tree import And, Atom, Node, Not, Or
from convtui.library.index import Index
from convtui.library.index_file import FILE, stamp
from convtui.library.index_rows import fold_text
from convtui.library.index_summary import from_row, to_row
from convtui.library.library import Library
from convtui.library.newest import NewestRuns
from convtui.library.run_rows import MAX_OUTPUT
from convtui.library.searching import matches_log
from convtui.log.notes import Notes
from convtui.log.reader import digest_until
from convtui.log.run_summary import RunSummary, list_runs, summarise
from convtui.log.writer import LogWriter
from convtui.records.codec import encode
from convtui.records.models import (
    DebugEdited,
    DebugInjected,
    HumanWrote,
    LlmRetry,
    ProviderOutput,
    Record,
    ToolCalled,
    ToolReturned,
    UserDecided,
)
from convtui.records.times import time_of_stamp
from tests.builders.logs import conversation, ending, header, sample, session, turn, write_log

TEXTS = (
    "Hello there",
    "See you SATURDAY",
    "",
    "...",
    "D\u0131d you \u017fay \u212aelvin?",
    "\u0130stanbul",
    "Zur\u00fcckgeben, bitte",
    "tab\there and \0 nul, lone \ud800 half",
    'he said "no": 100% [[ERROR]]',
    "x" * 5000,
)
PATTERNS = (
    "hello", "SAT", "day", "did you say", "kelvin", "istanbul", "zur\u00dcck", "ckgeben", "b.tte",
    "^$", "h|z", "tab\there", "nul", "half", '"no"', "100%", r"\[\[error", "e", "x{50}", "<think>",
    "written by", "none of them",
)  # fmt: skip


def _happened(dice: random.Random) -> list[Record]:
    error = {"type": "RateLimited", "message": "429", "category": "llm"}
    everything: list[Record] = [
        LlmRetry(n=1, delay=0.1, error=error),
        ToolCalled(id="c", name="find_Crossing", arguments={}),
        ToolReturned(id="c", name="find_Crossing", ok=False, error_kind="tool_timeout"),
        ProviderOutput(stream="stdout", text="printed a line\n"),
        UserDecided(kind="reply", arguments={"answer": "the answer"}, valid=False),
        UserDecided(kind="abstain", reason="too vague"),
        DebugEdited(field="raw", before="a", after="an edited raw reply"),
        DebugInjected(fault="429"),
        HumanWrote(text="written by hand, [[ERROR]] and all"),
    ]
    return dice.sample(everything, dice.choice([0, 0, 0, 1, 2]))


def _run(dice: random.Random, number: int) -> list[Record]:
    sessions = []
    extras: list[dict[str, Any]] = [
        {},
        {},
        {"human": True},
        {"empty": True},
        {"flags": [{"flag": "role", "rule": "r"}]},
        {"flags": [{"flag": "role", "rule": "counsels"}, {"flag": "farewell", "rule": "f"}]},
        {"flags": [{"flag": "label", "rule": "own-name"}, {"flag": "echo", "rule": "e"}]},
    ]
    for index in range(1, dice.choice([1, 1, 2]) + 1):
        turns = []
        for place in range(1, dice.randint(0, 4) + 1):
            text = dice.choice(TEXTS)
            usage = {"prompt_tokens": dice.choice([0, 70, 900]), "cost": 0.1}
            turns.append(
                turn(
                    place,
                    dice.choice(["persona", "provider"]),
                    text,
                    raw=dice.choice([None, None, f"<think>hm</think>{text}"]),
                    signal=dice.choice([None, "[[ERROR]]"]),
                    discard=dice.choice([None, None, None, "skip"]),
                    usage=dice.choice([None, usage]),
                    more=_happened(dice),
                    **dice.choice(extras),
                )
            )
        end = dice.choice([None, ending(dice.choice(["failed", "max_turns", "budget"]))])
        sessions.append(session(index, dice.choice(["Intake", "refund"]), turns, end))
    records = conversation(*sessions)
    head = header(
        id=f"run{number}",
        persona=dice.choice(["Maya", "Tom", "\ud800"]),
        provider=dice.choice(
            [{"spec": "bot.py:Bot", "name": "Other"}, {"name": "demo", "model": "gpt-4o"}]
        ),
        scenario={"tags": dice.choice([[], ["nightly"], ["slow", "smoke"]])},
        created_at=dice.choice(["2026-03-04T05:06:07+00:00", "2025-01-01T00:00:00", "sometime"]),
    )
    return [head, *records[1 : dice.choice([None, None, -3])]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """A folder of every kind of log."""
    folder = tmp_path_factory.mktemp("library")
    dice = random.Random(7)
    for number in range(40):
        close = number % 5 != 0
        path = write_log(folder / f"{number:02}.jsonl", _run(dice, number), close=close)
        if number % 4 == 0:
            notes = Notes(path)
            notes.mark(1, 1, True)
            notes.note(1, 2, "look at this")
            notes.correct_flag(1, 1, "role", number % 8 == 0)
            notes.correct_fault(1, 2, "none" if number % 8 else "harness")
            notes.tag("smoke", number % 8 == 0)
    _branch(folder, sample())
    lines = (folder / "03.jsonl").read_bytes().split(b"\n")
    (folder / "holes.jsonl").write_bytes(b"\n".join([*lines[:5], b"{]", *lines[7:]]))
    (folder / "newer.jsonl").write_bytes(
        b"\n".join([lines[0].replace(b'"1.0"', b'"9.0"'), *lines[1:]])
    )
    huge = encode({"type": "turn.started", "session": 1, "turn": 1 << 80, "speaker": "persona"})
    (folder / "huge.jsonl").write_bytes(lines[0] + b"\n" + huge)
    odd = {"type": "llm.response", "session": 1, "turn": 1.0, "raw": 7, "duration": float("nan")}
    (folder / "odd.jsonl").write_bytes(b"\n".join([*lines[:7], encode(odd)]))
    printed = {"type": "provider.output", "session": 1, "turn": 1, "text": "x" * MAX_OUTPUT + "y"}
    (folder / "talkative.jsonl").write_bytes(b"\n".join([*lines[:7], encode(printed)]))
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "text.jsonl").write_text("no log\n")
    return Library(folder)


def _branch(folder: Path, records: list[Record]) -> None:
    parent = write_log(folder / "parent.jsonl", records)
    sha256, _ = digest_until(parent, 20)
    seeded = [
        {"session": 1, "turn": 1, "speaker": "persona", "text": "Hello, my ferry was cancelled."},
        {"session": 1, "turn": 2, "speaker": "provider", "text": "I am sorry."},
        {"session": 2, "turn": 4, "speaker": "provider", "text": "Of course.", "human": True},
    ]
    for name, sha in (("child", sha256), ("orphan", "0")):
        head = header(
            id=name,
            parents=[{"id": "a1b2c3", "file": "parent.jsonl", "seq": 20, "sha256": sha}],
            change={"kind": "rewind", "session": 2, "turn": 5},
        ).payload()
        lines = [
            head,
            {"type": "history.seeded", "turns": seeded, "sessions": ["intake", "refund"],
             "current": 2, "counters": {}, "messages": {}},
        ]  # fmt: skip
        data = b"".join(encode({"seq": n, "t": 0.0, **line}) for n, line in enumerate(lines))
        (folder / f"{name}.jsonl").write_bytes(data)


def atoms() -> st.SearchStrategy[Node]:
    """Every atom, with values that find something somewhere."""
    ops = st.sampled_from(["<", "<=", "=", ">=", ">"])
    values: dict[str, st.SearchStrategy[Any]] = {
        "signal": st.sampled_from([None, "error", "zzz"]),
        "raw": st.sampled_from(PATTERNS),
        "said": st.sampled_from(PATTERNS),
        "speaker": st.sampled_from(["persona", "Provider"]),
        "session": st.sampled_from(["intake", "2", "none"]),
        "stage": st.sampled_from(["response", "commit"]),
        "decision": st.sampled_from([None, "reply", "abstain"]),
        "tool": st.sampled_from([None, "crossing", "other"]),
        "end": st.sampled_from([None, "failed", "budget"]),
        "output": st.sampled_from([None, "a line", "^x"]),
        "fault": st.sampled_from([None, "provider", "simulator", "harness"]),
        "role": st.sampled_from([None, "offers-help", "counsels"]),
        "repeat": st.sampled_from([None, "same-words"]),
        "label": st.sampled_from([None, "own-name"]),
        "echo": st.sampled_from([None, "part-of-other"]),
        "leak": st.sampled_from([None, "reasoning-tag"]),
        "persona": st.sampled_from(["may", "tom"]),
        "provider": st.sampled_from(["bot", "demo", "other"]),
        "model": st.sampled_from(["gpt", "x"]),
        "tag": st.sampled_from(["smoke", "night", "x"]),
    }
    compared = {"turn": ["1", "2"], "latency": ["0.5", "1"], "tokens": ["0", "70"],
                "cost": ["0.1", "0"], "date": ["2026-03-04", "2025-06-01"]}  # fmt: skip
    found: list[st.SearchStrategy[Node]] = []
    for name in ATOMS:
        if name in compared:
            found.append(st.builds(Atom, st.just(name), st.sampled_from(compared[name]), ops))
        else:
            found.append(st.builds(Atom, st.just(name), values.get(name, st.none())))
    return st.one_of(found)


def filters() -> st.SearchStrategy[Node]:
    def below(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        some = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.builds(Not, inner) | st.builds(And, some) | st.builds(Or, some)

    return st.recursive(atoms(), below, max_leaves=5)


@pytest.fixture(scope="module", params=[False, True], ids=["few", "many"])
def read_as(
    request: pytest.FixtureRequest, library: Library, tmp_path_factory: pytest.TempPathFactory
) -> Library:
    """The same folder, indexed as few logs and as many are."""
    folder = tmp_path_factory.mktemp("read-as") / "runs"
    shutil.copytree(library.folder, folder, ignore=shutil.ignore_patterns(f"{FILE}*"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convtui.library.indexing._MANY_FROM", 0 if request.param else 1 << 40)
        Library(folder).runs(turns=True)
    return Library(folder)


@settings(max_examples=60, deadline=None)
@given(node=filters(), full_text=st.booleans())
def test_the_index_answers_as_the_logs_do(read_as: Library, node: Node, full_text: bool) -> None:
    expression = parse(str(node))
    runs = read_as.runs(turns=True)
    asked = read_as if full_text else Library(read_as.folder, full_text=False)
    found = {run.name for run in asked.search(expression, runs)}
    assert found == {run.name for run in runs if matches_log(run, expression)}
    assert not read_as.notice
    assert not asked.notice


@given(st.sampled_from([p for p in PATTERNS if p.isalnum()]), st.text(max_size=20), st.booleans())
def test_folded_texts_hold_what_a_pattern_finds(word: str, around: str, upper: bool) -> None:
    text = around + (word.upper() if upper else word) + around
    ascii_word = "".join(sign for sign in word if sign.isascii())
    if re.search(ascii_word, text, re.IGNORECASE):
        assert ascii_word.lower() in fold_text(text)


def names(library: Library, expression: str) -> list[str]:
    """The runs that a filter finds."""
    runs = library.runs(turns=True)
    return sorted(
        run.name.removesuffix(".jsonl") for run in library.search(parse(expression), runs)
    )


def test_nearly_everything_is_answered_without_opening_a_log(library: Library) -> None:
    runs = library.runs(turns=True)
    with Index(library.folder) as index:
        here = index.with_turns()
        assert index.full_text
    # What would bloat the index is left to the log; everything else, damage too, is in it.
    assert sorted({run.name for run in runs} - here.keys()) == ["talkative.jsonl"]


def test_a_raw_reply_from_before_a_branch_is_found_in_its_parent(library: Library) -> None:
    found = names(library, '~raw "<think>hm</think>Of course"')
    assert found == ["child", "parent"]  # the orphan's parent is another than it names
    assert names(library, '~raw "upstream failed" & ~persona maya') == ["parent"]


def test_what_a_human_wrote_is_the_raw_reply(tmp_path: Path) -> None:
    wrote = HumanWrote(text="<b>Hello</b>")
    records = conversation(session(1, "intake", [turn(1, "persona", "Hello", more=[wrote])]))
    path = write_log(tmp_path / "a.jsonl", records)
    library = Library(tmp_path)
    assert matches_log(summarise(path), parse("~raw <b>"))
    assert names(library, "~raw <b>") == ["a"]
    assert names(library, "~raw <i>") == []


def test_tags_given_and_taken_by_hand_are_found(tmp_path: Path) -> None:
    for name in ("a", "b"):
        head = header(id=name, scenario={"tags": ["nightly"]})
        write_log(tmp_path / f"{name}.jsonl", [head, *sample()[1:]])
    library = Library(tmp_path)
    assert names(library, "~tag nightly & ~signal") == ["a", "b"]
    Notes(tmp_path / "a.jsonl").tag("nightly", False)
    Notes(tmp_path / "a.jsonl").tag("odd one")
    assert names(library, "~tag nightly") == names(library, "~tag nightly & ~signal") == ["b"]
    assert names(library, '~tag "odd one" & ~signal') == ["a"]
    assert [run.tags for run in library.runs() if run.id == "a"] == [("odd one",)]


def shown(runs: list[RunSummary]) -> list[tuple[Any, ...]]:
    """What a list shows of each run."""
    return [
        (run.file, run.id, run.persona, run.provider, run.state, run.turns, run.parent, run.at,
         run.tags, run.created_at, run.modified, run.size, run.tokens, run.damaged)
        for run in runs
    ]  # fmt: skip


def test_the_list_is_that_of_the_logs(library: Library, tmp_path: Path) -> None:
    for path in library.folder.glob("*.jsonl"):
        shutil.copy2(path, tmp_path)
    from_logs = sorted(map(repr, shown(NewestRuns().completed(list(list_runs(tmp_path))))))
    fresh = Library(tmp_path)
    assert sorted(map(repr, shown(fresh.runs()))) == from_logs
    assert sorted(map(repr, shown(fresh.runs()))) == from_logs
    times = [run.modified for run in fresh.runs()]
    assert times == sorted(times, reverse=True)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with two runs."""
    write_log(tmp_path / "a.jsonl", [header(id="a"), *sample()[1:]])
    write_log(tmp_path / "b.jsonl", [header(id="b", persona="Tom"), *sample()[1:6]])
    return tmp_path


def test_the_index_is_for_its_owner_alone(runs: Path) -> None:
    Library(runs).runs()
    assert (runs / FILE).stat().st_mode & 0o777 == 0o600


def test_only_what_has_changed_is_read_again(runs: Path) -> None:
    told: list[tuple[int, int]] = []
    library = Library(runs)
    library.runs(turns=True, progress=lambda *count: told.append(count))
    assert told == [(1, 2), (2, 2)]
    told.clear()
    library.runs(turns=True, progress=lambda *count: told.append(count))
    assert told == []
    write_log(runs / "c.jsonl", [header(id="c", persona="Zoe"), *sample()[1:]])
    (runs / "b.jsonl").unlink()
    Notes(runs / "a.jsonl").mark(1, 1, True)
    found = library.runs(turns=True, progress=lambda *count: told.append(count))
    assert {run.id for run in found} == {"a", "c"}
    assert told[-1] == (2, 2)
    assert names(library, "~mark") == ["a"]
    assert names(library, "~persona zoe & ~discard") == ["c"]


def test_the_turns_of_a_crashed_run_are_counted_however_it_is_listed(tmp_path: Path) -> None:
    crashed = write_log(tmp_path / "crashed.jsonl", sample()[:-3], close=False)
    assert summarise(crashed).turns is None, "its last lines are those of the second session"
    newest = NewestRuns()
    listings = [
        newest.completed(newest.listed(tmp_path, 5)),
        newest.listed(tmp_path, 5),
        Library(tmp_path).runs(),
        Library(tmp_path).runs(turns=True),
    ]
    for (run,) in listings:
        assert (run.state, run.turns) == ("crashed", 5)


def test_a_log_among_the_newest_is_read_again_once_it_has_changed(tmp_path: Path) -> None:
    path = write_log(tmp_path / "a.jsonl", sample()[:-3], close=False)
    newest = NewestRuns()
    (before,) = newest.completed(newest.listed(tmp_path, 5))
    assert newest.completed(newest.listed(tmp_path, 5)) == [before]
    with path.open("ab") as file:
        file.write(b'{"cut')
    (after,) = newest.completed(newest.listed(tmp_path, 5))
    assert (after.turns, after.size) == (before.turns, before.size + 5)


def test_a_run_that_is_being_written_is_found_as_it_grows(tmp_path: Path) -> None:
    library = Library(tmp_path)
    writer = LogWriter(tmp_path / "live.jsonl")
    records = sample()
    for record in records[:8]:
        writer.write(record)
    (run,) = library.runs(turns=True)
    assert run.state == "running"
    assert names(library, '"money back"') == []
    for record in records[8:]:
        writer.write(record)
    assert names(library, '"money back"') == ["live"]
    writer.close(None, {})
    (run,) = library.runs()
    assert not run.running
    assert names(library, "~discard") == ["live"]


@pytest.mark.parametrize(
    "damage", ["garbage", "torn", "version", "columns", "gone", "schema", "names"]
)
def test_an_index_that_is_of_no_use_is_made_again_silently(runs: Path, damage: str) -> None:
    library = Library(runs)
    assert names(library, "~discard") == ["a"]
    file = runs / FILE
    if damage == "garbage":
        file.write_bytes(b"this is no database" * 1000)
    elif damage == "torn":
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2 // 4096 * 4096])
    elif damage in ("schema", "names"):
        # SQLite quotes what it cannot read, and its messages are no UTF-8 then.
        data = file.read_bytes()
        wrong = b"CREATE TABLE runs", b"CRE\xffTE TABLE runs"
        if damage == "names":
            wrong = b"TABLE texts", b"TABLE t\xffxts"
        assert wrong[0] in data
        file.write_bytes(data.replace(*wrong))
    elif damage == "gone":
        file.unlink()
    else:
        with sqlite3.connect(file) as db:
            db.execute("PRAGMA user_version = 999" if damage == "version" else "DROP TABLE texts")
        db.close()
    assert names(library, "~discard & Saturday | ~discard & upstream") == ["a"]
    assert len(library.runs()) == 2
    assert library.notice == ""
    assert file.stat().st_size > 8192


@pytest.mark.parametrize("value", [None, 1.5, "\x1b[31m{", b"\xff\x00", -(1 << 60)])
def test_an_index_whose_values_are_none_of_ours_is_made_again(runs: Path, value: object) -> None:
    library = Library(runs)
    whole, matches = library.runs(turns=True), names(library, "~discard & upstream")
    with closing(sqlite3.connect(runs / FILE)) as db:
        columns = [
            (table, column)
            for table in ("runs", "turns", "texts")
            for _, column, *_ in db.execute(f"PRAGMA table_info({table})").fetchall()
        ]
    good = (runs / FILE).read_bytes()
    for table, column in columns:
        for name in ("-wal", "-shm"):
            (runs / f"{FILE}{name}").unlink(missing_ok=True)
        (runs / FILE).write_bytes(good)
        with (
            closing(sqlite3.connect(runs / FILE, isolation_level=None)) as db,
            suppress(sqlite3.Error),  # The column may take no such value.
        ):
            db.execute(f"UPDATE {table} SET {column} = ?", (value,))
        listed = library.runs(turns=True)
        assert {run.id for run in listed} == {run.id for run in whole} or type(value) is str
        for run in listed:
            library.turns(run)
        names(library, "~discard & upstream")
        assert library.notice == ""
    (runs / FILE).unlink()
    assert names(library, "~discard & upstream") == matches


@pytest.mark.parametrize("seconds", [2**55, -(2**45), 10**11, -1])
def test_the_time_of_a_file_may_be_absurd(runs: Path, seconds: int) -> None:
    index = Index(runs)
    index.listing()
    kept = stamp(os.stat_result([0] * 10, {"st_mtime_ns": seconds * 10**9}))
    index.keep_batches({"b": (kept, "{}")}, ())
    assert index.batches() == {"b": (kept, "{}")}
    index.close()
    assert 0 < time_of_stamp(seconds).astimezone().year <= 9999


@pytest.mark.parametrize("page", range(12))
def test_a_page_that_is_overwritten_never_makes_an_answer_wrong(runs: Path, page: int) -> None:
    library = Library(runs)
    names(library, "~discard")
    data = bytearray((runs / FILE).read_bytes())
    if page * 4096 >= len(data):
        pytest.skip("the index has no such page")
    data[page * 4096 + 100 * (not page) : (page + 1) * 4096] = b"\xff" * (4096 - 100 * (not page))
    (runs / FILE).write_bytes(data)
    assert {run.id for run in library.runs()} == {"a", "b"}
    assert names(library, "~discard & upstream") == ["a"]


def test_where_no_index_can_be_written_the_logs_are_read(runs: Path) -> None:
    (runs / FILE).mkdir()  # as good as a read-only folder, also for root
    library = Library(runs)
    assert {run.id for run in library.runs(turns=True)} == {"a", "b"}
    assert "the logs are read one by one: no index (" in library.notice
    assert names(library, "~discard") == ["a"]
    assert len(library.turns(library.runs()[0]).turns) > 0


def test_a_disk_that_is_full_leaves_the_logs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(runs)
    library.runs()

    def full(self: Index, batch: object) -> None:
        self._db.execute("PRAGMA max_page_count = 1")
        self._db.execute("CREATE TABLE more AS SELECT hex(randomblob(100000))")

    monkeypatch.setattr(Index, "_write", full)
    assert names(library, "~discard") == ["a"]
    assert "full" in library.notice


def test_a_database_that_another_process_holds_leaves_the_logs(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(runs)
    library.runs()
    monkeypatch.setattr("convtui.library.index._BUSY", 0.01)
    holder = sqlite3.connect(runs / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert names(library, "~discard") == ["a"]
        assert "locked" in library.notice
    finally:
        holder.close()
    assert names(Library(runs), "~discard") == ["a"]


def test_several_at_once_agree(runs: Path) -> None:
    for number in range(30):
        write_log(runs / f"n{number}.jsonl", [header(id=f"n{number}"), *sample()[1:]])

    def ask(_: int) -> tuple[list[str], str]:
        library = Library(runs)
        return names(library, "~discard & upstream"), library.notice

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(8)))
    assert len(answers[0][0]) == 31
    assert answers == [(answers[0][0], "")] * 8


def test_indexing_can_be_stopped_and_goes_on_later(runs: Path) -> None:
    library = Library(runs)
    told: list[int] = []
    found = library.runs(
        turns=True, progress=lambda done, _: told.append(done), stop=lambda: bool(told)
    )
    assert (len(found), told) == (1, [1])
    assert len(library.runs(turns=True)) == 2


def indexed(folder: Path) -> list[tuple[Any, ...]]:
    """Everything that the index of a folder knows of its runs and turns, but for numbers of runs
    and what is asked of the clock."""
    db = sqlite3.connect(folder / FILE)
    try:
        names = dict(db.execute("SELECT id, name FROM runs"))
        rows = [
            (names[row[0] >> shift], table, row[0] % (1 << shift if shift else 1), *row[1:])
            for table, shift in (("runs", 0), ("turns", 24), ("texts", 24))
            for row in db.execute(f"SELECT * FROM {table}")
        ]
        said = db.execute("SELECT rowid FROM said WHERE said MATCH 'ell'")
        rows += [(names[row >> 24], "said", row % (1 << 24)) for (row,) in said]
    finally:
        db.close()
    return sorted(rows, key=repr)


@pytest.mark.slow
def test_helper_processes_read_the_same(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "here", tmp_path / "shared"]
    for folder in folders:
        shutil.copytree(library.folder, folder, ignore=shutil.ignore_patterns(f"{FILE}*"))
    here, shared = map(Library, folders)
    here.runs(turns=True)
    monkeypatch.setattr("convtui.library.indexing._HELPERS_FROM", 0)
    monkeypatch.setattr("convtui.library.indexing._PART", 5)
    monkeypatch.setattr("convtui.library.indexing.cores", lambda: 2)
    told: list[tuple[int, int]] = []
    runs = shared.runs(turns=True, progress=lambda *count: told.append(count))
    assert told[-1] == (len(runs), len(runs))
    assert len(told) == -(-len(runs) // 5)
    assert indexed(folders[0]) == indexed(folders[1])


@pytest.mark.slow
def test_helper_processes_can_be_stopped(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convtui.library.indexing._HELPERS_FROM", 0)
    monkeypatch.setattr("convtui.library.indexing._PART", 1)
    monkeypatch.setattr("convtui.library.indexing.cores", lambda: 2)
    library = Library(runs)
    told: list[int] = []
    found = library.runs(
        turns=True, progress=lambda done, _: told.append(done), stop=lambda: bool(told)
    )
    assert (len(found), told) == (1, [1])
    assert len(library.runs(turns=True)) == 2


def test_few_logs_and_one_core_need_no_helper(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("convtui.files.processes._start", never)
    assert len(Library(runs).runs(turns=True)) == 2
    (runs / FILE).unlink()
    monkeypatch.setattr("convtui.library.indexing._HELPERS_FROM", 0)
    monkeypatch.setattr("convtui.library.indexing.cores", lambda: 1)
    assert len(Library(runs).runs(turns=True)) == 2


def test_the_full_text_is_made_again_when_most_of_it_is_stale(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.library.index._STALE", 20)
    library = Library(runs)
    for number in range(12):
        os.utime(runs / "a.jsonl", (number + 1, number + 1))
        assert names(library, '"money back"') == ["a"]
    with Index(runs) as index:
        known = index._db.execute("SELECT count(*) FROM said WHERE said MATCH 'mon'").fetchone()[0]
    assert known < 6


def test_a_missing_folder_has_no_runs_and_gets_no_index(tmp_path: Path) -> None:
    library = Library(tmp_path / "none")
    assert library.runs(turns=True) == []
    assert library.search(parse("~signal"), []) == []
    assert not (tmp_path / "none").exists()
    with pytest.raises(IndexFailure):
        Index(tmp_path / "none")


def test_a_preview_has_the_turns_and_notes(runs: Path) -> None:
    library = Library(runs)
    Notes(runs / "a.jsonl").note(2, 1, "why?")
    found = {run.id: run for run in library.runs(turns=True)}
    seen = library.turns(found["a"])
    from_log = Library(runs)
    from_log.notice = "none"
    expected = from_log.turns(found["a"])
    assert [(t.address, t.text, t.flags, t.speaker) for t in seen.turns] == [
        (t.address, t.text, t.flags, t.speaker) for t in expected.turns
    ]
    assert [(s.session_type, s.termination) for s in seen.sessions] == [
        (s.session_type, s.termination) for s in expected.sessions
    ]
    assert [(at, note.note) for at, note in seen.notes] == [((2, 1), "why?")]
    assert list(seen.notes) == list(expected.notes)


@pytest.mark.parametrize("odd", ["\x1f", "a\x1fb\x1f", "\ud800\x1f", "", "\n", "[]"])
def test_a_summary_comes_back_whatever_its_texts_are(odd: str) -> None:
    run = RunSummary("/x/a.jsonl", id=odd, persona=odd, reason=odd, tags=("one", "two words"))
    back = from_row("/x/a.jsonl", 0, to_row(run), lambda file: False)
    assert repr(back) == repr(run)
