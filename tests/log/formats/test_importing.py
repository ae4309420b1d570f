"""An import that is killed, meets a bad file, the same twice, or a file that has grown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from convtui.errors import FileError, LogError
from convtui.log.formats.importing import FileReader, Import
from convtui.log.formats.registry import Imported
from convtui.log.formats.store import place_of, store
from convtui.log.names import partial_path
from convtui.log.reader import open_log
from convtui.log.run_summary import list_runs
from convtui.records.models import Record, SessionStarted, TurnCommitted


def conversation(*texts: str, id: str = "ab" * 16, source: str = "chat.json") -> Imported:
    return Imported(
        id=id,
        created_at=datetime(2026, 3, 4, tzinfo=UTC),
        persona="maya",
        provider={"name": "bot"},
        records=[
            (0.0, SessionStarted(session=1, session_type="default", first_speaker="persona")),
            *(said(number, text) for number, text in enumerate(texts, 1)),
        ],
        sources=[Path(source)],
        details={"format": "openai"},
    )


def said(number: int, text: str) -> tuple[float, Record]:
    speaker = "persona" if number % 2 else "provider"
    fields = {"session": 1, "turn": number, "speaker": speaker, "text": text, "words": 1}
    return float(number), TurnCommitted.model_validate(fields)


def outcomes(folder: Path, *conversations: Imported) -> list[str]:
    return [done.outcome for done in Import(folder, []).run(iter(conversations))]


def test_half_a_log_is_no_log(tmp_path: Path) -> None:
    """What a kill leaves behind has another name, and the next import writes it anew."""
    imported = conversation("hi", "hello")
    path, _ = place_of(imported, tmp_path)
    partial_path(path).write_text('{"half":')
    assert list(list_runs(tmp_path)) == []
    assert outcomes(tmp_path, imported) == ["imported"]
    assert not partial_path(path).exists()
    with open_log(path) as log:
        assert [turn.text for turn in log.transcript.turns] == ["hi", "hello"]


def test_half_a_log_of_an_older_version_is_written_again(tmp_path: Path) -> None:
    whole = store(conversation("hi", "hello"), tmp_path).read_bytes()
    path, _ = place_of(conversation("hi", "hello"), tmp_path)
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert outcomes(tmp_path, conversation("hi", "hello")) == ["imported"]
    assert outcomes(tmp_path, conversation("hi", "hello")) == ["there already"]
    with open_log(path) as log:
        assert len(log.transcript.turns) == 2


def test_the_same_conversation_twice_in_a_file_is_two(tmp_path: Path) -> None:
    twice = [conversation("hi", "hello"), conversation("hi", "hello")]
    assert outcomes(tmp_path, *twice) == ["imported", "imported"]
    twice = [conversation("hi", "hello"), conversation("hi", "hello")]
    assert outcomes(tmp_path, *twice) == ["there already", "there already"]
    assert len(list(list_runs(tmp_path))) == 2


def test_a_file_that_has_grown_names_its_earlier_log(tmp_path: Path) -> None:
    assert outcomes(tmp_path, conversation("hi", "hello")) == ["imported"]
    longer = conversation("hi", "hello", "bye", id="cd" * 16)
    other = conversation("hi", "you?", "bye", id="ef" * 16)
    elsewhere = conversation("hi", "hello", "so long", id="12" * 16, source="other.json")
    importing = Import(tmp_path, [])
    done = list(importing.run(iter([longer, other, elsewhere])))
    assert [each.outcome for each in done] == ["grown", "imported", "imported"]
    with open_log(done[0].log) as log:
        header = log.transcript.header
        assert header["change"] == {"kind": "grown"}
        assert header["parents"][0]["id"] == "ab" * 16 == done[0].earlier


def _breaks_off(imported: Imported, error: Exception) -> Imported:
    records = list(imported.records)

    class Breaking(list[tuple[float, Record]]):
        def __iter__(self) -> Iterator[tuple[float, Record]]:
            yield from records
            raise error

    imported.records = Breaking()
    return imported


def test_one_that_cannot_be_read_to_its_end_is_passed_over(tmp_path: Path) -> None:
    bad = _breaks_off(conversation("hi", id="cd" * 16), FileError("chat.json: line 9: is torn"))
    importing = Import(tmp_path, [])
    done = [each.outcome for each in importing.run(iter([bad, conversation("hi", "hello")]))]
    assert done == ["imported"]
    assert [finding.placed for finding in importing.findings] == ["line 9: is torn"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_ends_the_import_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [conversation("hi", "hello"), conversation("x" * 500, id="cd" * 16)]
    importing = Import(tmp_path, [])

    def full(fd: int, line: bytes) -> None:
        if b"xxx" in line:
            raise OSError(28, "No space left on device")
        os.write(fd, line)

    monkeypatch.setattr("convtui.log.writer.write_all", full)
    with pytest.raises(LogError, match="the disk is full"):
        list(importing.run(iter(wanted)))
    assert [done.outcome for done in importing.outcomes] == ["imported"]
    assert [path.name for path in tmp_path.iterdir()] == [importing.outcomes[0].log.name]


def test_files_after_a_bad_one_are_read(tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("a", "b", "c")]
    for path in names:
        path.write_text("x")

    def read(path: Path) -> Iterator[Imported]:
        if path.name == "b":
            raise FileError(f"{path}: is no such thing")
        yield conversation(path.name, id=path.name * 32, source=path.name)

    reader = FileReader(names, read)
    assert [one.id[0] for one in reader.read()] == ["a", "c"]
    assert [finding.message for finding in reader.damage] == ["is no such thing"]


def long_session(turns: int) -> Iterator[dict[str, object]]:
    """The rows of a session of rath."""
    yield {"record_type": "header", "schema_version": 1, "id": "long"}
    for index in range(turns):
        kind = "assistant" if index % 2 else "user"
        payload = {"content": f"This is what is said in row {index}."}
        yield {"record_type": "chunk", "index": index, "kind": kind, "payload": payload}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_killed_import_is_done_again(number: signal.Signals, tmp_path: Path) -> None:
    """At its end the folder is as if nobody had killed it."""
    source, out = tmp_path / "long.jsonl", tmp_path / "logs"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in long_session(6_000)))
    command = [sys.executable, "-m", "convtui", "import", str(source), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not list(out.glob("*.part")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(number)
    process.communicate()
    assert process.returncode != 0
    assert list(list_runs(out)) == []
    if number != signal.SIGKILL:
        assert list(out.iterdir()) == []
    done = subprocess.run([*command, "--json"], capture_output=True, check=True)
    (row,) = json.loads(done.stdout)["logs"]
    assert row["outcome"] == "imported"
    assert [path.name for path in out.iterdir()] == [Path(row["log"]).name]
