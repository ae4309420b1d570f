"""Codes that prove that this user's own program wrote something, and that nobody changed it.

The key is made once, in a folder of the user's state directory that nobody else can use. Whoever
can read that folder can forge a code; whoever cannot, cannot. A file that others can read, or that
stands somewhere else behind a link, is refused rather than mended: it may have been copied.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import Any, Final

from convtui.config.paths import Paths, write_private
from convtui.errors import FileError

FOLDER: Final = "trust"
KEY_FILE: Final = "seal.key"
_BYTES: Final = 32
_PREFIX: Final = "v1:"
_MOST_BYTES: Final = 1_000_000


def private_folder(paths: Paths) -> Path:
    """The folder of the key and of the list of trusted folders; not created here."""
    return paths.state_dir / FOLDER


def make_private_folder(paths: Paths) -> Path:
    """The folder, created with mode 0700 when it is missing. Raises `FileError`."""
    folder = private_folder(paths)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise FileError(f"{folder}: cannot be made: {error.strerror or error}") from None
    _check_folder(folder)
    return folder


def _check_folder(folder: Path) -> None:
    """Raises `FileError` for a folder in which somebody else could replace files."""
    info = folder.lstat()
    if not stat.S_ISDIR(info.st_mode):
        raise FileError(f"{folder}: is no folder (a link is refused); move it away")
    if sys.platform == "win32":
        return
    if info.st_uid != os.geteuid():
        raise FileError(f"{folder}: belongs to another user; move it away")
    if info.st_mode & 0o022:
        raise FileError(f"{folder}: others can write to it; `chmod 700` it, or move it away")


def read_private(folder: Path, name: str) -> bytes | None:
    """A file of the private folder; None when it is not there.

    Raises `FileError` for one that others can read, that belongs to somebody else, or that is a
    link.
    """
    path = folder / name
    try:
        _check_folder(folder)
        # Neither a link nor a pipe that nobody writes to.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        if path.is_symlink():
            raise FileError(f"{path}: is a link, which is refused; delete it")
        handle = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror or error}") from None
    with os.fdopen(handle, "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise FileError(f"{path}: is no regular file; move it away")
        if sys.platform != "win32":
            if info.st_uid != os.geteuid():
                raise FileError(f"{path}: belongs to another user; move it away")
            if info.st_mode & 0o077:
                raise FileError(
                    f"{path}: others can read it, so it proves nothing; delete it (a new one is"
                    " made), or `chmod 600` it if nobody else has an account here"
                )
        return file.read(_MOST_BYTES)


def load_key(paths: Paths, *, make: bool = False) -> bytes | None:
    """The user's key; None when there is none and none is to be created.

    Two processes that create it at once end up with the same one. Raises `FileError` when it cannot
    be used.
    """
    folder = private_folder(paths)
    before = _looks(folder)
    known = _keys.get(folder)
    if known is not None and before is not None and known[0] == before:
        return known[1]
    if make:
        folder = make_private_folder(paths)
    elif not folder.exists():
        return None
    text = read_private(folder, KEY_FILE)
    if text is None and make:
        write_private(folder / KEY_FILE, secrets.token_hex(_BYTES) + "\n", replace=False)
        text = read_private(folder, KEY_FILE)
    if text is None:
        return None
    try:
        key = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise FileError(f"{folder / KEY_FILE}: is damaged; delete it, and a new one is made")
    if before is not None and before == _looks(folder):
        _keys[folder] = before, key
    return key


_keys: dict[Path, tuple[tuple[Any, ...], bytes]] = {}
"""Keys that this process has read, with what their folder and file looked like before and after."""


def _looks(folder: Path) -> tuple[Any, ...] | None:
    """What would be different if somebody had touched the key, or who may; None without one."""
    try:
        infos = folder.lstat(), (folder / KEY_FILE).lstat()
    except OSError:
        return None
    return tuple(
        (info.st_dev, info.st_ino, info.st_mode, info.st_uid, info.st_size, info.st_ctime_ns)
        for info in infos
    )


def canonical(data: Any) -> bytes:
    """JSON data as canonical bytes."""
    # Once through JSON: keys become text there, and tuples lists.
    plain = json.loads(json.dumps(data))
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode("ascii")


def seal_of(key: bytes, data: Any) -> str:
    """The HMAC of JSON data."""
    return _PREFIX + hmac.new(key, canonical(data), hashlib.sha256).hexdigest()


def is_sealed(key: bytes, data: Any, seal: object) -> bool:
    """Whether `seal` is the HMAC of `data`."""
    if not isinstance(seal, str) or not seal.isascii():
        return False
    return hmac.compare_digest(seal, seal_of(key, data))
