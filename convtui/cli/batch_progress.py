"""The progress of a batch without a screen, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

from convtui.batch.manifest import BatchFile, Entry, counts
from convtui.cli.common import say
from convtui.cli.progress import Bar
from convtui.records.codec import exit_code
from convtui.text.boundary import one_line, span_of_time
from convtui.text.counts import counted
from convtui.transcript.ending_words import ending_sentence

_REASON = 160
"""Characters of why a conversation ended."""


class BatchProgress:
    """On a terminal a line that is rewritten, and a line for each conversation that went wrong;
    elsewhere a line for each that ended."""

    def __init__(self, file: BatchFile, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._began = clock()
        self._terminal = sys.stderr.isatty()
        self._bar = Bar()
        self._told = {key for key, entry in file.entries.items() if entry.settled}
        self._before = len(self._told)
        """Conversations that had ended before this process went on with the batch."""
        self._reruns = {key: entry.reruns for key, entry in file.entries.items()}

    def show(self, keys: Iterable[str]) -> None:
        """Shows what has become of the conversations of these keys."""
        for key in sorted(keys):
            entry = self._file.entries.get(key)
            if entry is None:
                continue
            if entry.reruns > self._reruns.get(key, 0):
                self._reruns[key] = entry.reruns
                self._line(f"{key}  run again: {one_line(entry.because, _REASON)}")
            if entry.state == "running":
                self._told.discard(key)
            if entry.over and key not in self._told:
                self._told.add(key)
                if not self._terminal or exit_code(entry.termination) != 0:
                    self._line(self._ending(entry))
        self._progress()

    def note(self, text: str) -> None:
        """Shows a line about the whole batch."""
        self._line(text)

    def close(self) -> None:
        """Removes the line that is rewritten."""
        self._bar.close()

    def _line(self, text: str) -> None:
        self._bar.close()
        say(text)

    def _ending(self, entry: Entry) -> str:
        done = f"{len(self._told)}/{len(self._file.entries)}"
        words = one_line(ending_sentence(entry.termination, nothing="ended"), _REASON)
        facts = []
        if entry.turns is not None:
            facts.append(counted(entry.turns, "turn"))
        if entry.started_at is not None and entry.ended_at is not None:
            facts.append(span_of_time((entry.ended_at - entry.started_at).total_seconds()))
        return f"{done}  {entry.key}  {words}" + (f" ({', '.join(facts)})" if facts else "")

    def _progress(self) -> None:
        states = counts(self._file.entries.values())
        total, done = len(self._file.entries), len(self._told)
        parts = [f"{done:,} of {total:,} done"]
        parts += [f"{states[state]:,} {state}" for state in ("running", "held") if states[state]]
        left = self._left(total, done)
        if left is not None:
            parts.append(f"{span_of_time(left)} left")
        self._bar(done, total, ", ".join(parts))

    def _left(self, total: int, done: int) -> float | None:
        """Seconds until all have ended, at the pace so far; None while that says nothing."""
        now_done = done - self._before
        elapsed = self._clock() - self._began
        if now_done < 3 or elapsed < 2:
            return None
        return elapsed / now_done * (total - done)
