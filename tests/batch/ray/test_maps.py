"""Analyses over shards of logs: in this process, and on the nodes of a real Ray."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from convtui.analysis.profile.profile import combine, profile_run
from convtui.analysis.rehook.rehook_process import start_for
from convtui.analysis.rehook.report import RehookReport
from convtui.analysis.rehook.sources import sources_of
from convtui.batch.ray.shards import Shard, log_files_of, shards_of
from convtui.log.notes import Notes
from convtui.log.reader import open_log
from tests.builders.conversations import Bot, resume, run, scenario
from tests.places import SAMPLES

if TYPE_CHECKING:
    from convtui.batch.ray.cluster import Cluster


@dataclass
class Here:
    """A cluster whose only node is this process; it sees the files, or does not."""

    share: bool = True
    sees: bool = True
    cores: int = 1
    calls: list[Any] = field(default_factory=list)

    def map(self, function: Callable[..., Any], tasks: list[tuple[Any, ...]]) -> Iterator[Any]:
        for arguments in tasks:
            self.calls.append(arguments[0].contents is not None)
            blind = not self.sees and arguments[0].contents is None
            yield None if blind else function(*arguments)


def cluster_of(here: Here) -> Cluster:
    return cast("Cluster", here)


async def some_logs(folder: Path, count: int = 5) -> list[Path]:
    what = scenario(Bot("ok", "The end. STOP", signals=["STOP"]), ["one", "two", "three"])
    return [(await run(what, folder)).path for _ in range(count)]


@pytest.mark.parametrize(
    ("here", "sent"),
    [
        (Here(), [False] * 3),
        (Here(share=False), [True] * 3),
        (Here(sees=False), [False] * 3 + [True] * 3),
    ],
)
async def test_profiles_are_those_of_one_machine(
    tmp_path: Path, here: Here, sent: list[bool]
) -> None:
    from convtui.batch.ray.maps import profile_logs

    paths = await some_logs(tmp_path)
    broken = tmp_path / "broken.jsonl"
    broken.write_text("no log\n")
    done = list(profile_logs(cluster_of(here), [*paths, broken], None))
    assert [Path(home) for home, _, _ in done] == [*paths, broken]
    assert str(broken) in done[-1][2]
    runs = [profile for _, profile, _ in done[:-1] if profile is not None]
    expected = []
    for path in paths:
        with open_log(path) as log:
            expected.append(profile_run(log))
    assert combine(runs) == combine(expected)
    assert sorted(here.calls) == sorted(sent)


async def test_a_filter_is_asked_on_the_nodes_with_notes_and_parents(tmp_path: Path) -> None:
    from convtui.batch.ray.maps import profile_logs

    paths = await some_logs(tmp_path / "a", 2)
    Notes(paths[0]).mark(1, 1, True)
    what = scenario(Bot("other"), ["one", "two", "three"], max_turns=8)
    child = (await resume(paths[1], tmp_path / "b", what, kind="go_on")).path
    here = cluster_of(Here(share=False))
    matches = profile_logs(here, [*paths, child], "~mark")
    assert [profile is not None for _, profile, _ in matches] == [True, False, False]
    # What the parent's log has of a reply that the child began with.
    inherited = profile_logs(here, [*paths, child], '~raw "STOP"')
    assert [profile is not None for _, profile, _ in inherited] == [True, True, True]
    assert {Path(file).name for file in log_files_of(str(child))} >= {child.name, paths[1].name}


def test_shards_are_not_larger_than_a_task_can_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.batch.ray.shards._MOST_BYTES", 25)
    paths = [tmp_path / f"{n}.jsonl" for n in range(7)]
    for path in paths:
        path.write_text("0123456789")
    gone = tmp_path / "gone.jsonl"
    assert [len(shard.paths) for shard in shards_of([*paths, gone])] == [2, 2, 2, 2]
    assert [len(shard.paths) for shard in shards_of(paths, at_least=5)] == [2, 2, 2, 1]
    assert shards_of([]) == []


def test_files_of_one_name_do_not_meet(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "a.jsonl" for folder in ("x", "y")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    (shard,) = shards_of(paths)
    sent = Shard(shard.paths, shard.looks, {str(path): (path.read_bytes(), 0) for path in paths})
    with sent.opened() as places:
        assert places is not None
        assert [place.read_text() for place in places] == ["x", "y"]
        assert not set(places) & set(paths)


@pytest.mark.slow
@pytest.mark.real_processes
@pytest.mark.parametrize("shared", [True, False])
async def test_hooks_run_over_logs_on_the_nodes(
    cluster: Cluster, apart: Cluster, project: Path, tmp_path: Path, *, shared: bool
) -> None:
    from convtui.batch.ray.maps import profile_logs, rehook_on

    used = cluster if shared else apart
    paths = await some_logs(tmp_path, 2)
    start = start_for(f"{project}/desk/bot.py:Shouting")
    result = rehook_on(used, start, sources_of(paths), timeout=60)
    report = RehookReport(result)
    assert [outcome["log"] for outcome in result.outcomes] == [0, 1]
    assert not report.same
    first = result.outcomes[0]["changed"][0]
    assert (first["before"]["text"], first["after"]["text"]) == ("ok", "OK")
    assert result.provider["identity"]["file"] == f"{project}/desk/bot.py"
    assert "STOP" in str(next(profile_logs(used, paths, None))[1])


@pytest.mark.slow
@pytest.mark.real_processes
async def test_hooks_that_cannot_be_loaded_on_a_node_say_why(
    cluster: Cluster, project: Path, tmp_path: Path
) -> None:
    from convtui.batch.ray.maps import rehook_on
    from convtui.errors import EngineError

    paths = await some_logs(tmp_path, 1)
    shutil.copy(project / "desk/bot.py", project / "desk/later.py")
    start = start_for(f"{project}/desk/later.py:Bot")
    with pytest.raises(EngineError, match=r"later\.py: there is no such file"):
        rehook_on(cluster, start, sources_of(paths), timeout=60)


@pytest.mark.parametrize("here", [Here(), Here(share=False, cores=2)])
@pytest.mark.parametrize(("name", "sample"), [("vera", "vera-mh/*_run*.txt"), ("rath", "rath/*")])
def test_transcripts_are_read_as_on_one_machine(
    tmp_path: Path, here: Here, name: str, sample: str
) -> None:
    from convtui.batch.ray.maps import reader_on
    from convtui.log.formats.importing import FileReader, Import
    from convtui.log.formats.registry import format_for

    folder = tmp_path / "run" / "conversations"
    folder.mkdir(parents=True)
    for file in SAMPLES.glob(sample):
        shutil.copy(file, folder)
    format_ = format_for(folder, name)
    paths = [folder] if format_.files is None else format_.files(folder)
    assert format_.read is not None
    accounts = []
    for out, read in (
        ("a", format_.read),
        ("b", reader_on(cluster_of(here), paths, format_)),
    ):
        files = FileReader(paths, read)
        importing = Import(tmp_path / out, files.damage)
        outcomes = list(importing.run(files.read()))
        # The trailer says when it was written.
        logs = [(o.log.name, b"".join(o.log.read_bytes().splitlines(True)[:-1])) for o in outcomes]
        accounts.append((logs, [o.sources for o in outcomes], importing.findings))
    assert len(accounts[0][0]) > 1
    assert accounts[0] == accounts[1]


def test_a_transcript_that_cannot_be_read_fails_where_it_would(tmp_path: Path) -> None:
    from convtui.batch.ray.maps import reader_on
    from convtui.errors import FileError
    from convtui.log.formats.registry import format_for

    for number in (1, 2, 3, 4):
        text = "chatbot: hello\n\nuser: hi\n"
        (tmp_path / f"0a1b2c_Maya_gpt-4o_run{number}.txt").write_text(text)
    format_ = format_for(tmp_path, "vera")
    assert format_.read is not None
    good = [imported.id for imported in format_.read(tmp_path)]
    large = tmp_path / "0a1b2c_Maya_gpt-4o_run3.txt"
    with large.open("r+b") as file:
        file.truncate(1 << 30)
    read = reader_on(cluster_of(Here()), [tmp_path], format_)
    seen: list[str] = []
    with pytest.raises(FileError, match=f"{large.name}: larger than"):
        seen.extend(imported.id for imported in read(tmp_path))
    assert seen == good[:2]
