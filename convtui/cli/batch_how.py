"""What is asked of `convtui batch` beside the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.batch.listing import find_batch, names_batch
from convtui.cli.batch_results import print_against, print_results
from convtui.cli.common import has_screen
from convtui.cli.logs import log_folders
from convtui.cli.remote import check_remote
from convtui.errors import FileError, UsageError
from convtui.files.regular import is_dir, is_file
from convtui.log.names import MANIFEST

LAST: Final = "last"
_WATCHED_SPEED: Final = 2.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is made of the results of a batch."""

    as_json: bool = False
    plain: bool = False
    junit: str | None = None
    report: str | None = None
    against: Path | None = None
    """The folder of an earlier batch."""

    @classmethod
    def of(cls, flags: Mapping[str, Any], against: Path | None) -> Wanted:
        """From flags. Raises `FileError` for a file in a folder that does not exist."""
        junit, report = (flags.get(name) for name in ("junit", "report"))
        for name in filter(None, (junit, report)):
            # Said before hours are spent, not after.
            folder = Path(name).absolute().parent
            if not is_dir(folder):
                raise FileError(f"{name}: there is no folder {folder}")
            if is_dir(Path(name)):
                raise FileError(f"{name}: this is a folder; name a file")
        as_json, plain = bool(flags.get("as_json")), bool(flags.get("plain"))
        if as_json and plain:
            raise UsageError("--json and --plain exclude each other")
        return cls(as_json, plain, junit, report, against)

    def print(self, folder: Path) -> int:
        """Prints the results of the batch in a folder, and writes the files that are wanted.

        Returns the highest exit code in them; against another batch, 1 where this one is worse.
        """
        if self.against is not None:
            return print_against(
                folder,
                self.against,
                as_json=self.as_json,
                plain=self.plain,
                junit=self.junit,
                report=self.report,
            )
        return print_results(
            folder, as_json=self.as_json, plain=self.plain, junit=self.junit, report=self.report
        )


@dataclass(frozen=True, slots=True)
class How:
    """What is asked for beside the plan."""

    wanted: Wanted
    screen: bool
    dry: bool
    anew: bool
    agreed: bool
    on: str | None
    """The address of a cluster; None: this machine."""
    env: tuple[str, ...]
    speed: float | None
    rerun: str | None = None
    """Which conversations of the batch run again."""

    @property
    def demo_speed(self) -> float:
        """How fast the demo speaks: so that one can follow it, where somebody looks."""
        if self.speed is not None:
            return self.speed
        return _WATCHED_SPEED if self.screen else 0.0

    @classmethod
    def of(cls, flags: Mapping[str, Any]) -> How:
        """From flags. Raises `UsageError`."""
        if flags.get("rerun") is not None and flags.get("anew"):
            raise UsageError("--rerun and --new exclude each other: it goes on with a batch")
        check_remote(flags.get("on"), flags.get("env") or (), flags.get("python"))
        against = flags.get("against")
        earlier = None if against is None else _earlier(against, flags.get("out"))
        wanted = Wanted.of(flags, earlier)
        screen = flags.get("tui")
        if screen is None:
            screen = has_screen() and not wanted.as_json and earlier is None
        elif screen and not has_screen():
            raise UsageError("--tui: there is no terminal to draw on")
        return cls(
            wanted,
            bool(screen) and not wanted.as_json,
            bool(flags.get("dry_run")),
            bool(flags.get("anew")),
            bool(flags.get("agreed")),
            flags.get("on"),
            tuple(flags.get("env") or ()),
            flags.get("speed"),
            flags.get("rerun"),
        )


def batch_folder(word: str, out: str | None) -> Path | None:
    """The folder of the batch that `word` names by path, name or a start of that; else None."""
    if word == LAST:
        return find_batch(word, log_folders(out))
    path = Path(word)
    other = path.name != MANIFEST and is_file(path)
    return None if other else names_batch(word, log_folders(out))


def _earlier(word: str, out: str | None) -> Path:
    try:
        return find_batch(word, log_folders(out))
    except FileError as error:
        raise FileError(f"--against {error}") from None
