"""`convtui batch --rerun`: what it says of the conversations that run again."""

from __future__ import annotations

from convtui.batch.again import FAILED, Again, choose
from convtui.batch.attempts import best_of
from convtui.batch.manifest import BatchFile
from convtui.cli.common import echo, print_json, say, table
from convtui.errors import listed
from convtui.text.counts import counted
from convtui.transcript.ending_words import ending_sentence


def announce(batch: BatchFile, again: Again) -> None:
    """Says which conversations run again, or that none do."""
    if again.unread:
        say(f"convtui: logs that cannot be read, and do not run again: {listed(again.unread)}")
    if not again.keys:
        say(f"convtui: --rerun {again.which} matches no conversation of {batch.folder.name}")
        return
    verb = "runs" if len(again.keys) == 1 else "run"
    say(f"convtui: {counted(len(again.keys), 'conversation')} {verb} again: {listed(again.keys)}")


def hint(batch: BatchFile) -> str | None:
    """How to run again what has failed; None where nothing has, or the batch has not ended."""
    failed = choose(batch, FAILED).keys if batch.finished else ()
    if not failed:
        return None
    which = "the one that failed" if len(failed) == 1 else f"the {len(failed):,} that failed"
    return f"`convtui batch {batch.folder.name} --rerun {FAILED}` runs {which} again"


def dry_rerun(batch: BatchFile, again: Again, *, as_json: bool) -> int:
    """Lists what would run again; returns the exit code."""
    bests = {key: best_of(batch.attempts(batch.entries[key])) for key in again.keys}
    if as_json:
        print_json(
            {
                "batch": str(batch.folder.absolute()),
                "rerun": again.which,
                "conversations": [
                    {"key": key, "termination": best.termination} for key, best in bests.items()
                ],
                "unread": list(again.unread),
            }
        )
        return 0
    announce(batch, again)
    if bests:
        endings = [[key, ending_sentence(it.termination, nothing="-")] for key, it in bests.items()]
        table([["conversation", "how it ended"], *endings])
        echo()
    echo(f"{counted(len(bests), 'conversation')} of {len(batch.entries):,} would run again")
    return 0
