"""Bundles: what is in them, and what is not opened."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convtui.errors import LogError
from convtui.log.notes import Notes
from convtui.log.reader import open_log
from convtui.log.tool_results import whole_result
from convtui.share import bundle
from convtui.share.bundle import unpack
from convtui.share.sharing import Sharing, share
from tests.builders.logs import sample, write_log


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    """A bundle of a log with a note, a long result and exchanges."""
    log = write_log(tmp_path / "run.jsonl", sample())
    Notes(log).note(2, 4, "look here")
    (tmp_path / "run.jsonl.tools.jsonl").write_text(
        '{"seq":3,"id":"c","name":"n","text":"whole"}\n'
    )
    (tmp_path / "run.jsonl.wire.jsonl").write_text('{"n":1}\n')
    (file,) = share(log, tmp_path / "out", Sharing("bundle")).files
    return file


def rewritten(zipped: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """The bundle with its files changed."""
    with zipfile.ZipFile(zipped) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return zipped


def test_a_bundle_comes_back(zipped: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    first = unpack(zipped, runs)
    assert not first.there
    assert sorted(path.name for path in runs.iterdir()) == [
        "run.jsonl", "run.jsonl.notes.jsonl", "run.jsonl.tools.jsonl",
    ]  # fmt: skip
    assert Notes(first.log).on(2, 4).note == "look here"
    assert whole_result(first.log, 3) == "whole"
    with open_log(first.log) as opened:
        assert not opened.findings
        assert len(opened.transcript.turns) == 6
    # What was noted since stays.
    Notes(first.log).note(1, 1, "mine")
    again = unpack(zipped, runs)
    assert again.there and again.log == first.log
    assert Notes(again.log).on(1, 1).note == "mine"


def test_what_is_in_it(zipped: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped) as archive:
        assert "run.jsonl.wire.jsonl" not in archive.namelist()
        assert archive.read("scenario.yaml") == b"name: refund\n"
        assert json.loads(archive.read("versions.json"))["recorded_with"]["python"] == "3.12.1"
    (file,) = share(tmp_path / "run.jsonl", tmp_path / "wire", Sharing("bundle", wire=True)).files
    with zipfile.ZipFile(file) as archive:
        assert archive.read("run.jsonl.wire.jsonl") == b'{"n":1}\n'


def test_another_log_of_that_name_is_left_alone(zipped: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "run.jsonl").write_text("mine")
    assert unpack(zipped, runs).log.name == "run-2.jsonl"
    assert (runs / "run.jsonl").read_text() == "mine"


def _named(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda files: files.update({name: b"x"})


def _contents(**change: Any) -> Callable[[dict[str, bytes]], None]:
    def apply(files: dict[str, bytes]) -> None:
        contents = {**json.loads(files["bundle.json"]), **change}
        files["bundle.json"] = json.dumps(contents).encode()

    return apply


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_named("../evil.jsonl"), "'../evil.jsonl' is no name of a file in a bundle"),
        (_named("/etc/evil"), "'/etc/evil' is no name"),
        (_named("a/b.jsonl"), "'a/b.jsonl' is no name"),
        (_named("a\\b"), "is no name"),
        (_named("\x1b[31m"), "'␛[31m' is no name"),
        (_named("RUN.jsonl"), "two files in it have the same name"),
        (lambda files: files.update({f"f{n}": b"" for n in range(20)}), "at most 16"),
        (lambda files: files.update({"run.jsonl": b"{}"}), "run.jsonl in it is damaged, or was"),
        (lambda files: files.pop("run.jsonl"), "run.jsonl is missing in it"),
        (lambda files: files.pop("bundle.json"), "but no bundle of `convtui export --to bundle`"),
        (lambda files: files.update({"bundle.json": b"[" * 9000}), "bundle.json in it is no JSON"),
        (_contents(format="zip"), "is not that of a bundle"),
        (_contents(version=2), "a bundle of version 2, this one reads 1"),
        (_contents(log="../run.jsonl"), "names no log"),
        (_contents(log="scenario.yaml"), "names no log"),
        (_contents(files=[]), "names no log"),
        (_contents(log=["run.jsonl"]), "names no log"),
    ],
)
def test_what_is_not_opened(
    change: Callable[[dict[str, bytes]], Any], says: str, zipped: Path, tmp_path: Path
) -> None:
    before = set(tmp_path.rglob("*"))
    with pytest.raises(LogError) as raised:
        unpack(rewritten(zipped, change), tmp_path / "runs")
    assert says in str(raised.value)
    assert set(tmp_path.rglob("*")) == before


def test_a_link_is_not_opened(zipped: Path, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.jsonl")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(LogError, match=r"link\.jsonl is no ordinary file"):
        unpack(zipped, tmp_path / "runs")


def test_a_bomb_is_not_unpacked(
    zipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "MAX_BYTES", 1_000_000)
    rewritten(zipped, lambda files: files.update({"run.jsonl": b"0" * 2_000_000}))
    with pytest.raises(LogError, match="at most 1,000,000 are read"):
        unpack(zipped, tmp_path / "runs")


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_damaged_zip_is_named(cut: float, zipped: Path, tmp_path: Path) -> None:
    data = zipped.read_bytes()
    zipped.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(LogError, match="a damaged zip"):
        unpack(zipped, tmp_path / "runs")


def test_a_name_that_is_no_text_is_damage(zipped: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr("é.json", "{}")
    data = zipped.read_bytes()
    name = "é.json".encode()
    # In the directory of the archive, and before the file itself.
    for broken in (
        data.replace(name, b"\xff" + name[1:]),
        data.replace(name, b"\xff" + name[1:], 1),
    ):
        zipped.write_bytes(broken)
        with pytest.raises(LogError):
            unpack(zipped, tmp_path / "runs")


@pytest.mark.parametrize("method", [0, 1, 8, 9, 12, 14, 93, 99])
def test_another_way_to_pack_is_damage(zipped: Path, tmp_path: Path, method: int) -> None:
    data = bytearray(zipped.read_bytes())
    for sign, at in ((b"PK\x01\x02", 10), (b"PK\x03\x04", 8)):
        begin = data.find(sign)
        while begin >= 0:
            data[begin + at] = method
            begin = data.find(sign, begin + 4)
    zipped.write_bytes(data)
    if method == zipfile.ZIP_DEFLATED:
        assert unpack(zipped, tmp_path / "runs").log.exists()
        return
    with pytest.raises(LogError):
        unpack(zipped, tmp_path / "runs")


def test_every_changed_byte_is_noticed_or_harmless(zipped: Path, tmp_path: Path) -> None:
    data = zipped.read_bytes()
    for at in range(0, len(data), 37):
        zipped.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        runs = tmp_path / f"runs{at}"
        try:
            log = unpack(zipped, runs).log
        except LogError:
            assert not list(runs.glob("*")) if runs.exists() else True
        else:
            with open_log(log) as opened:
                assert len(opened.transcript.turns) == 6
