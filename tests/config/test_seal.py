"""The key of the user's, and the codes that are made with it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convtui.config.paths import Paths
from convtui.config.seal import (
    KEY_FILE,
    canonical,
    is_sealed,
    load_key,
    make_private_folder,
    private_folder,
    read_private,
    seal_of,
)
from convtui.errors import FileError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
KEY = bytes(range(32))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.find({"CONVTUI_HOME": str(tmp_path / "home")})


def test_no_key_is_made_by_asking(paths: Paths) -> None:
    assert load_key(paths) is None
    assert not paths.state_dir.exists()


@POSIX
def test_the_key_is_made_once_for_the_user_alone(paths: Paths) -> None:
    umask = os.umask(0)
    try:
        key = load_key(paths, make=True)
    finally:
        os.umask(umask)
    assert key is not None and len(key) == 32
    assert load_key(paths) == load_key(paths, make=True) == key
    folder = private_folder(paths)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600


def test_two_processes_at_once_end_up_with_the_same_key(paths: Paths) -> None:
    home = str(paths.state_dir.parent)
    code = (
        "from convtui.config.paths import Paths; from convtui.config.seal import load_key;"
        " print(load_key(Paths.find(), make=True).hex())"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, "CONVTUI_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert len(keys) == 1 and len(keys.pop()) == 64


@POSIX
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620])
def test_a_key_that_others_can_read_is_refused(paths: Paths, mode: int) -> None:
    load_key(paths, make=True)
    file = private_folder(paths) / KEY_FILE
    file.chmod(mode)
    for make in (False, True):
        with pytest.raises(FileError, match=r"seal\.key: others can read it"):
            load_key(paths, make=make)


@POSIX
def test_links_pipes_and_folders_of_others_are_refused(paths: Paths, tmp_path: Path) -> None:
    folder = make_private_folder(paths)
    file = folder / KEY_FILE
    (tmp_path / "elsewhere").write_text("ab" * 32)
    (tmp_path / "elsewhere").chmod(0o600)
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileError, match="is a link"):
        load_key(paths, make=True)
    file.unlink()
    file.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError, match="is a link"):
        load_key(paths, make=True)
    file.unlink()
    os.mkfifo(file, 0o600)
    with pytest.raises(FileError, match="no regular file"):
        load_key(paths)
    file.unlink()
    folder.chmod(0o770)
    with pytest.raises(FileError, match="others can write to it"):
        load_key(paths, make=True)
    folder.rmdir()
    (tmp_path / "mine").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "mine")
    with pytest.raises(FileError, match="a link is refused"):
        load_key(paths, make=True)
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("text", ["", "zz", "ab", "ab" * 33, "\x00" * 64, "é" * 64])
def test_a_damaged_key_is_refused(paths: Paths, text: str) -> None:
    folder = make_private_folder(paths)
    (folder / KEY_FILE).write_text(text)
    (folder / KEY_FILE).chmod(0o600)
    with pytest.raises(FileError, match="is damaged"):
        load_key(paths)
    assert read_private(folder, "nothing") is None


@given(JSON)
def test_a_seal_survives_being_written_and_read(data: object) -> None:
    import json

    seal = seal_of(KEY, data)
    assert is_sealed(KEY, json.loads(json.dumps(data)), seal)
    assert is_sealed(KEY, json.loads(json.dumps(data, ensure_ascii=False, indent=2)), seal)


@given(JSON, JSON)
def test_other_data_have_another_seal(one: object, other: object) -> None:
    assert (seal_of(KEY, one) == seal_of(KEY, other)) is (canonical(one) == canonical(other))


@pytest.mark.parametrize("seal", [None, "", "v1:", 7, [], "v1:é", "\udc80", "v1:" + "0" * 64])
def test_what_is_no_seal(seal: object) -> None:
    assert not is_sealed(KEY, {"a": 1}, seal)


def test_another_key_makes_another_seal() -> None:
    assert not is_sealed(bytes(32), {"a": 1}, seal_of(KEY, {"a": 1}))
    assert is_sealed(KEY, {1: (2,)}, seal_of(KEY, {"1": [2]})), "as JSON has it"
