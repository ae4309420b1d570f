"""Folders whose `convtui.toml` may name hosts, commands, code and what is outside of them.

A folder is trusted with the settings that it had then: its real path and a digest of those of them
that need trust are kept in the user's private folder. Other settings of that kind ask again; the
rest of the file may change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.config.paths import Paths, write_private
from convtui.config.seal import canonical, make_private_folder, private_folder, read_private
from convtui.errors import FileError
from convtui.files.regular import real_path

_FILE: Final = "folders.json"
_LOCK_WITHIN: Final = 5.0


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Settings of a project that do not count, as its folder is not trusted with them."""

    file: Path
    settings: Mapping[str, Any]
    """As they stand in the file."""
    why: str
    """Why they are left out, as the end of a sentence."""

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def digest(self) -> str:
        """Equal for equal settings only."""
        return digest_of(self.settings)

    @property
    def rows(self) -> list[str]:
        """Each setting as a line of TOML."""
        return [
            f"{name} = {json.dumps(value, ensure_ascii=False)}"
            for name, value in self.settings.items()
        ]

    @property
    def text(self) -> str:
        """One sentence: what is left out, why, and what to do."""
        names = ", ".join(self.settings)
        return f"{self.file}: left out: {names} ({self.why}); `convtui trust` shows and allows them"


def digest_of(settings: Mapping[str, Any]) -> str:
    """The digest that is kept of settings that a folder was trusted with."""
    return hashlib.sha256(canonical(dict(settings))).hexdigest()


def read_trusted(paths: Paths) -> dict[str, str]:
    """Every trusted folder's real path, with the digest of its settings then.

    Raises `FileError` when the list is not the user's own; a damaged one is empty.
    """
    folder = private_folder(paths)
    text = read_private(folder, _FILE) if folder.exists() else None
    if text is None:
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(data, dict):
        return {}
    return {str(path): str(digest) for path, digest in data.items()}


def why_untrusted(paths: Paths, folder: Path, settings: Mapping[str, Any]) -> str:
    """Why a folder is not trusted with some settings; empty when it is."""
    try:
        digest = read_trusted(paths).get(str(real_path(folder)))
    except FileError as error:
        return str(error)
    if digest is None:
        return "this folder is not trusted"
    return "" if digest == digest_of(settings) else "they changed since this folder was trusted"


def trust_folder(paths: Paths, folder: Path, settings: Mapping[str, Any]) -> None:
    """Trusts a folder with its current settings. Raises `FileError`."""
    _change(paths, folder, digest_of(settings))


def revoke_folder(paths: Paths, folder: Path) -> bool:
    """Revokes trust in a folder; returns whether it was trusted. Raises `FileError`."""
    return _change(paths, folder, None)


def _change(paths: Paths, folder: Path, digest: str | None) -> bool:
    from filelock import FileLock, Timeout

    home = make_private_folder(paths)
    try:
        with FileLock(home / f"{_FILE}.lock", timeout=_LOCK_WITHIN):
            known = read_trusted(paths)
            before = known.pop(str(real_path(folder)), None)
            if digest is not None:
                known[str(real_path(folder))] = digest
            write_private(home / _FILE, json.dumps(known, indent=1) + "\n")
    except (Timeout, OSError) as error:
        raise FileError(f"{home / _FILE}: cannot be written: {error}") from None
    return before is not None
