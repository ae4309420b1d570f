"""Where things are: the user's directories, and the data that ships with convtui."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from convtui.errors import FileError
from convtui.files.regular import open_regular

APP = "convtui"
HOME_VARIABLE = "CONVTUI_HOME"


class Paths(NamedTuple):
    """Every path in use; none is created here."""

    config_dir: Path
    data_dir: Path
    state_dir: Path
    cache_dir: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] | None = None) -> Paths:
        """The platform's directories, or those below `CONVTUI_HOME` when it is set."""
        environ = os.environ if environ is None else environ
        home = environ.get(HOME_VARIABLE, "").strip()
        if home:
            root = Path(home).expanduser().absolute()
            return cls(root / "config", root / "data", root / "state", root / "cache")
        import platformdirs

        return cls(
            Path(platformdirs.user_config_dir(APP, appauthor=False)),
            Path(platformdirs.user_data_dir(APP, appauthor=False)),
            Path(platformdirs.user_state_dir(APP, appauthor=False)),
            Path(platformdirs.user_cache_dir(APP, appauthor=False)),
        )

    @property
    def config_file(self) -> Path:
        return self.config_dir / "config.toml"

    @property
    def keymap_file(self) -> Path:
        return self.config_dir / "keymap.yaml"

    @property
    def themes_dir(self) -> Path:
        return self.config_dir / "themes"

    @property
    def runs_dir(self) -> Path:
        """Logs, unless `out_dir` says otherwise."""
        return self.data_dir / "runs"

    @property
    def trash_dir(self) -> Path:
        return self.data_dir / "trash"

    @property
    def warm_dir(self) -> Path:
        return self.data_dir / "warm"

    @property
    def exports_dir(self) -> Path:
        """Pictures of the screen, and what is shared of a conversation."""
        return self.data_dir / "exports"

    @property
    def folds_dir(self) -> Path:
        """What long logs were folded to."""
        return self.cache_dir / "folds"

    @property
    def state_file(self) -> Path:
        """The last choice of the picker."""
        return self.state_dir / "state.json"

    def as_dict(self) -> dict[str, Path]:
        """Name to path, for `convtui where`."""
        names = (
            "config_dir",
            "config_file",
            "keymap_file",
            "themes_dir",
            "data_dir",
            "runs_dir",
            "trash_dir",
            "warm_dir",
            "exports_dir",
            "state_file",
            "cache_dir",
            "folds_dir",
        )
        return {name: getattr(self, name) for name in names}


def builtin_dir(name: str) -> Path:
    """A directory of data that ships with convtui (`themes`, `sample_runs`).

    Found in an installed package and in a checkout. Raises `FileError` when it is in neither.
    """
    package = Path(__file__).parents[1]
    for candidate in (package / "_data" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileError(f"the built-in {name} are missing: install convtui again")


def writable_dir(path: Path, *, otherwise: str = "choose another with --out") -> Path:
    """`path` as a writable directory, which is created when missing.

    `otherwise` is what to do where it is none. Raises `FileError` that says why it cannot be.
    """
    import tempfile

    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        blocker = next((part for part in (path, *path.parents) if part.is_file()), path)
        raise FileError(f"{blocker}: is a file, so it cannot hold a directory of files") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be made: {error.strerror or error}") from None
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"convtui")
            file.flush()
    except OSError as error:
        raise FileError(
            f"{path}: cannot be written to: {error.strerror or error}; {otherwise}"
        ) from None
    return path


MAX_STATE_BYTES = 1_000_000


def read_state(path: Path) -> dict[str, Any]:
    """The saved state; empty when there is none or it is damaged."""
    try:
        with open_regular(path) as file:
            data = json.loads(file.read(MAX_STATE_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Saves `state` atomically, readable by the user alone. Raises `FileError`."""
    try:
        text = json.dumps(dict(state), indent=1)
    except (TypeError, ValueError) as error:
        raise FileError(f"{path}: cannot be written: {error}") from None
    write_private(path, text)


def write_private(path: Path, text: str, *, replace: bool = True) -> bool:
    """Writes a file atomically, readable by the user alone; folders are created.

    Without `replace` an existing file is left alone, and False is returned. Raises
    `FileError` when it cannot be written.
    """
    import tempfile

    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # mkstemp makes files of mode 0600.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        if replace:
            temporary.replace(path)
            temporary = None
            return True
        return _put_new(temporary, path)
    except (OSError, ValueError) as error:
        raise FileError(f"{path}: cannot be written: {error}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _put_new(source: Path, path: Path) -> bool:
    """Creates a file atomically, so that of two processes only one succeeds."""
    try:
        path.hardlink_to(source)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links.
        if path.exists():
            return False
        source.replace(path)
    return True
