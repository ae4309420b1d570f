"""Files that grow in one folder, and their copies in another."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from convtui.batch.ray.shipping import FolderWatch, Inbound, Piece


@pytest.fixture
def there(tmp_path: Path) -> Path:
    (tmp_path / "there").mkdir()
    return tmp_path / "there"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def copies(here: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(here.iterdir())}


def test_what_is_added_is_sent_once(there: Path, here: Path) -> None:
    watch, inbound = FolderWatch(there), Inbound(here)
    inbound.write(watch.growth())
    assert copies(here) == {}
    (there / "a.jsonl").write_text("one\n")
    (there / "a.jsonl.lock").write_text("")
    (there / "empty.jsonl").touch()
    inbound.write(watch.growth())
    assert copies(here) == {"a.jsonl": "one\n", "empty.jsonl": ""}
    assert watch.growth() == []
    with (there / "a.jsonl").open("a") as file:
        file.write("two")
        file.flush()
        assert watch.growth() == [Piece("a.jsonl", 4, b"two")]
        file.write("\n")
    inbound.write([Piece("a.jsonl", 4, b"two"), *watch.growth()])
    assert copies(here)["a.jsonl"] == "one\ntwo\n"
    if os.name != "nt":
        assert stat.S_IMODE((here / "a.jsonl").stat().st_mode) == 0o600


def test_a_file_that_was_replaced_or_cut_begins_again(there: Path, here: Path) -> None:
    watch, inbound = FolderWatch(there), Inbound(here)
    (there / "a.wire.jsonl").write_text("0123456789")
    inbound.write(watch.growth())
    other = there / "new"
    other.write_text("abcdefghijkl")
    other.replace(there / "a.wire.jsonl")
    inbound.write(watch.growth())
    assert copies(here) == {"a.wire.jsonl": "abcdefghijkl"}
    (there / "a.wire.jsonl").write_text("xy")
    inbound.write(watch.growth())
    assert copies(here) == {"a.wire.jsonl": "xy"}


def test_a_large_file_comes_in_pieces(
    there: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convtui.batch.ray.shipping._PIECE", 4)
    (there / "a.jsonl").write_text("0123456789")
    pieces = FolderWatch(there).growth()
    assert [(p.offset, p.data, p.whole) for p in pieces] == [
        (0, b"0123", True), (4, b"4567", False), (8, b"89", False),
    ]  # fmt: skip
    Inbound(here).write(pieces)
    assert copies(here) == {"a.jsonl": "0123456789"}


def test_links_and_folders_of_a_node_are_not_followed(there: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (there / "link.jsonl").symlink_to(tmp_path / "secret")
    (there / "folder").mkdir()
    assert FolderWatch(there).growth() == []


@pytest.mark.parametrize("name", ["../x", "/etc/x", "..", "", "a\\b", "a\0"])
def test_a_name_never_leaves_the_folder(here: Path, name: str) -> None:
    with pytest.raises(ValueError, match="a node sent a file with the name"):
        Inbound(here).write([Piece(name, 0, b"x")])
    assert copies(here.parent / "here") == {}
