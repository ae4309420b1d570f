"""The logs that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from convtui.cli.common import settings
from convtui.files.regular import is_dir, is_file
from convtui.library.log_names import as_path, find_log, names_log
from convtui.log.names import MANIFEST


def log_named(word: str, out: str | None = None) -> str:
    """The path of the log that `word` names; see `find_log()`. `out` is another folder of logs.

    Raises `LogError`.
    """
    path = as_path(word)
    return str(find_log(word, log_folders(out)) if path is None else path)


def logs_named(words: Sequence[str], out: str | None = None) -> list[str]:
    """The paths of the logs that `words` name, of the folders among them, and of named batches."""
    return [
        word if is_folder(word) else batch_named(word, out) or log_named(word, out)
        for word in words
    ]


def batch_named(word: str, out: str | None = None) -> str | None:
    """The folder of the batch of that very name or path; None for anything else."""
    if is_folder(word) and is_file(Path(word) / MANIFEST):
        return word
    if not word.strip() or Path(word).name != word or "\0" in word:
        return None
    folders = (folder / word for folder in log_folders(out))
    return next((str(folder) for folder in folders if is_file(folder / MANIFEST)), None)


def log_or_filter(word: str, out: str | None = None) -> str | None:
    """The path of the log or of the batch that `word` names; None for a filter.

    Raises `LogError`.
    """
    path = names_log(word, log_folders(out))
    return batch_named(word, out) if path is None else str(path)


def is_folder(word: str) -> bool:
    """Whether `word` is the path of a folder."""
    return is_dir(Path(word))


def log_folders(out: str | None) -> list[Path]:
    """Where saved runs are looked for: in the folder that is named, then in the usual one."""
    folders = [settings(out_dir=out).runs_dir, settings().runs_dir]
    return list(dict.fromkeys(folders))
