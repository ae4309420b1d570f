"""Shares a log: as Markdown, as a page, as chat messages, as a bundle. All are masked the same way.

What is written is made from a masked copy in a temporary folder; the log itself is only read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from convtui.errors import FileError, UsageError
from convtui.log.formats.export_fold import new_file
from convtui.log.lock import is_being_written
from convtui.log.reader import Finding, Log, open_log
from convtui.secrets.redactor import Redactor
from convtui.secrets.sharing import SharingRedactor
from convtui.share.conversation import conversation_of
from convtui.share.turn_range import TurnRanges

KINDS: Final[Mapping[str, str]] = {
    "md": "Markdown for an issue",
    "html": "one page for a browser, with search",
    "openai": "chat messages, a line for each session",
    "bundle": "a zip that `convtui replay` opens",
}
"""What a log can be shared as, each with what that is."""
EXCERPTS: Final = ("md", "html", "openai")
"""The kinds that can have some of the turns alone."""
_ENDINGS: Final = {"md": ".md", "html": ".html", "openai": ".openai.jsonl", "bundle": ".zip"}


@dataclass(slots=True, frozen=True)
class Sharing:
    """What is to be shared of a log, and how."""

    kind: str
    turns: Sequence[str] = ()
    """Ranges as `--turns` takes them; none for all turns."""
    patterns: Sequence[str] = ()
    """Regular expressions whose matches are masked besides secrets."""
    wire: bool = False
    """Whether a bundle has the HTTP exchanges."""

    def check(self) -> None:
        """Raises `UsageError` where its parts do not fit together, or a pattern is none."""
        SharingRedactor(Redactor(), self.patterns)
        if self.turns and self.kind not in EXCERPTS:
            why = "a bundle has the whole log" if self.kind == "bundle" else "it has all turns"
            raise UsageError(f"--turns is for {', '.join(EXCERPTS)}, not for {self.kind}: {why}")
        if self.wire and self.kind != "bundle":
            raise UsageError(f"--with-wire is for --to bundle, not for {self.kind}")
        if self.wire and self.patterns:
            raise UsageError(
                "--with-wire and --redact-text exclude each other: the exchanges hold replies in"
                " pieces, in which a pattern cannot find everything"
            )


@dataclass(slots=True, frozen=True)
class Shared:
    """What was written."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]
    """Sentences on what is not in it."""
    masked: tuple[str, ...]
    """Sentences on what was masked in the log."""
    findings: tuple[Finding, ...] = ()
    """Damage of the log."""


Write = Callable[[Log, Path], tuple[Sequence[Path], Sequence[str]]]
"""Writes a masked log into a folder; returns the files, and sentences on what is not in them."""


@contextmanager
def masked_log(log: Path, redactor: SharingRedactor, *, wire: bool = False) -> Iterator[Log]:
    """A log as it is given away, until the end of the block. Raises `LogError`, `UsageError`."""
    from convtui.share.masked_log import copy_masked

    with (
        tempfile.TemporaryDirectory(prefix="convtui-share-") as folder,
        open_log(copy_masked(log, Path(folder), redactor, wire=wire)) as opened,
    ):
        yield opened


def share(log: Path, out: Path, sharing: Sharing, *, number: bool = False) -> Shared:
    """Writes a log into a folder as one of `KINDS`; with `number` under the next free name.

    Raises `UsageError` for what cannot be shared so, `FileError` where the file is there already.
    """

    def write(opened: Log, folder: Path) -> tuple[Sequence[Path], Sequence[str]]:
        ranges = TurnRanges.parse(sharing.turns, opened.transcript)
        target = folder / f"{opened.path.stem}{_ENDINGS[sharing.kind]}"
        if number:
            target = _free(target)
        if sharing.kind == "bundle":
            return _write_bundle(opened, target)
        if sharing.kind == "openai":
            from convtui.log.formats.openai.export import write_file

            written = write_file(opened, target, lambda *address: address in ranges)
            return written.files, written.notes
        text = _page(opened, ranges, sharing.kind, running=is_being_written(log))
        _write_text(target, text)
        return [target], []

    return share_with(log, out, sharing, write)


def share_with(log: Path, out: Path, sharing: Sharing, write: Write) -> Shared:
    """Writes a masked log as `write` does. Raises as `share()`."""
    sharing.check()
    redactor = SharingRedactor(Redactor.of_process(), sharing.patterns)
    with open_log(log) as original:
        findings = tuple(original.findings)
    with masked_log(log, redactor, wire=sharing.wire) as opened:
        files, notes = write(opened, out)
    if is_being_written(log):
        notes = [*notes, "the log is still being written: this is what there is of it so far"]
    return Shared(tuple(files), tuple(notes), tuple(redactor.words()), findings)


def _page(log: Log, ranges: TurnRanges, kind: str, *, running: bool) -> str:
    conversation = conversation_of(log, ranges, running=running)
    if kind == "html":
        from convtui.share.html.page import html_page

        return html_page(conversation)
    from convtui.share.markdown import markdown_page

    return markdown_page(conversation)


def _write_text(path: Path, text: str) -> None:
    with new_file(path) as file:
        file.write(text.encode(errors="replace"))


def _write_bundle(log: Log, path: Path) -> tuple[Sequence[Path], Sequence[str]]:
    from convtui.share.bundle import write_bundle

    with new_file(path) as file:
        notes = write_bundle(log, file)
    return [path], notes


def _free(path: Path) -> Path:
    """The path, or the next with a number that is not taken."""
    stem = path.name.partition(".")[0]
    ending = path.name[len(stem) :]
    for number in range(2, 1_000):
        if not path.exists():
            return path
        path = path.with_name(f"{stem}-{number}{ending}")
    raise FileError(f"{path}: there are too many files of this name")
