"""The words that name a log: a path, the name or id of a run, the last one, a sample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from convtui.config.paths import builtin_dir
from convtui.errors import LogError, did_you_mean, listed
from convtui.files.regular import dead_link, exists, is_file, is_other
from convtui.log.names import MANIFEST
from convtui.log.run_summary import RunSummary, log_files
from convtui.text.boundary import visible_line
from convtui.text.counts import counted

SAMPLE: Final = "sample:"
_LAST: Final = re.compile(r"last(?:~(\d{1,9}))?")
_ENDING: Final = ".jsonl"
_SHORTEST: Final = 4
"""Characters of a start that can only be meant as one, where a filter may stand too."""


def find_log(word: str, folders: Sequence[Path]) -> Path:
    """The log that `word` names.

    That is a path; `last` (the run that began last, the first of lists) and `last~2` (two before
    it); `sample:NAME`; or the name or id of a run in the first of `folders` that has it, or a
    unique start of either.
    What looks like a path is one, so that a name never leads out of the folders. Raises
    `LogError`, with the candidates or the nearest name.
    """
    if not word.strip():
        raise LogError("no log is named; `convtui runs` lists saved ones")
    path = as_path(word)
    if path is not None:
        return path
    if word.startswith(SAMPLE):
        return find_sample(word.removeprefix(SAMPLE))
    last = _LAST.fullmatch(word)
    if last:
        return _newest(int(last[1] or 0), folders[0])
    for folder in folders:
        matches = _matches(word, folder)
        if len(matches) == 1:
            return matches[0]
        if matches:
            return _ambiguous(word, matches)
    if is_other(path := Path(word)) or dead_link(path):
        return path  # Whoever opens it says what it is.
    if any(is_file(folder / word / MANIFEST) for folder in folders):
        name = visible_line(word, 80)
        raise LogError(
            f"{name}: this is a batch, not a log: `convtui batch {name}` shows it, `convtui runs"
            f" {name}` lists its conversations"
        )
    known = [stem for folder in folders for stem in _stems(_logs(folder))]
    hint = did_you_mean(word.removesuffix(_ENDING), [*known, *_stems(Path.cwd().glob("*.jsonl"))])
    hint = hint or "; `convtui runs` lists saved ones"
    raise LogError(f"{visible_line(word, 80)}: there is no such log{hint}")


def names_log(word: str, folders: Sequence[Path]) -> Path | None:
    """As `find_log()`, where a filter may stand as well: None for what is none of these.

    A start counts when it is long enough and has a digit, as all names that are given here have.
    """
    if word.startswith(SAMPLE) or _LAST.fullmatch(word):
        return find_log(word, folders)
    path = as_path(word)
    if path is not None:
        return path if path.suffix == _ENDING and exists(path) else None
    for folder in folders:
        matches = _matches(word, folder)
        whole = [file for file in matches if word in (file.name, file.stem)]
        is_start = len(word) >= _SHORTEST and any(sign.isdigit() for sign in word)
        if len(matches) == 1 and (whole or is_start):
            return matches[0]
        if matches and is_start:
            return _ambiguous(word, matches)
    return None


def as_path(word: str) -> Path | None:
    """`word` as a path, if it looks like one or leads to a file; None for a name."""
    path = Path(word)
    if not word.strip() or word.startswith(SAMPLE):
        return None
    looks_like_one = "\0" in word or path.name != word or word in (".", "..")
    return path if looks_like_one or is_file(path) else None


def samples() -> list[str]:
    """The names of the runs that ship with convtui."""
    return sorted(_stems(_logs(builtin_dir("sample_runs"))))


def find_sample(name: str) -> Path:
    """The log of a run that ships with convtui. Raises `LogError` with the names there are."""
    name = name.removesuffix(_ENDING)
    known = samples()
    if name in known:
        return builtin_dir("sample_runs") / f"{name}{_ENDING}"
    if not name:
        raise LogError(f"{SAMPLE} which one? There are {', '.join(known)}")
    hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
    raise LogError(f"{SAMPLE}{visible_line(name, 80)}: there is no such sample{hint}")


def _ambiguous(word: str, matches: Iterable[Path]) -> NoReturn:
    shown = listed(_stems(matches)).replace(" and ", " or ")
    raise LogError(f"{visible_line(word, 80)} may be {shown}: write more of it")


def _newest(back: int, folder: Path) -> Path:
    """The log of the run that began last, or `back` before it."""
    from convtui.library.library import Library

    runs = Library(folder).newest()
    if back < len(runs):
        return runs[back].path
    if not runs:
        batches = sorted(path.parent.name for path in folder.glob(f"*/{MANIFEST}"))
        if batches:
            raise LogError(
                f"there are only batches ({folder}): `convtui runs {batches[-1]}` lists the logs of"
                " the newest"
            )
        raise LogError(f"there is no saved run yet ({folder}); `convtui demo` makes one")
    raise LogError(f"last~{back}: there is no such log, only {counted(len(runs), 'saved run')}")


def _matches(word: str, folder: Path) -> list[Path]:
    """The logs that a word names or begins to name: those of that very name or id before others."""
    logs = _logs(folder)
    named = [log for log in logs if word in (log.name, log.stem)]
    if named or not word:
        return named[:1]
    from convtui.library.library import Library

    runs: list[RunSummary] = Library(folder).runs()
    with_id = [run.path for run in runs if run.id == word]
    if with_id:
        return with_id
    begun = [log for log in logs if log.name.startswith(word)]
    return begun + [run.path for run in runs if run.id.startswith(word) and run.path not in begun]


def _logs(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in log_files(folder)]


def _stems(logs: Iterable[Path]) -> list[str]:
    return [log.stem for log in logs]
