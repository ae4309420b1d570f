"""The replies for which a rehook gave other results than are recorded, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.analysis.rehook.rehook_process import Rehooked
from convtui.text.word_diff import Op, word_diff
from convtui.text_checks.incomplete import in_words
from convtui.transcript.ending_words import ending_phrase

_LOCATION: Final = re.compile(r"""(?P<file>[^"'\s]+\.py)(?:",\ line\ |:)(?P<line>\d+)""")
"""File and line of a traceback's frame."""


@dataclass(slots=True, frozen=True)
class Changed:
    """A reply for which the results of the hooks have changed."""

    log: Path
    session: int
    turn: int
    attempt: int
    kinds: tuple[str, ...]
    """text, signals, discard, ending, error (a hook fails now), mended (a hook failed then)."""
    counterfactual: bool
    """Whether an earlier turn of its session changed, so that the model might have replied
    differently."""
    raw: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    error: dict[str, Any] | None
    by_hand: tuple[str, ...] = ()
    """What a human had changed: raw, text, discard, ending."""
    incomplete: str = ""
    """Why the reply was incomplete; see `convtui.text_checks.incomplete`."""

    @property
    def address(self) -> str:
        """`session:turn`, with the attempt if it is not the first."""
        attempt = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"{self.session}:{self.turn}{attempt}"

    @property
    def location(self) -> str:
        """`file:line` in the developer's code where a hook fails; empty where unknown."""
        for frame in reversed((self.error or {}).get("frames") or ()):
            match = _LOCATION.search(str(frame))
            if match is not None:
                return f"{Path(match['file']).name}:{match['line']}"
        return ""

    def words(self) -> list[str]:
        """The differences, one phrase each."""
        before, after = self.before or {}, self.after or {}
        phrases: list[str] = []
        for kind in self.kinds:
            if kind == "error":
                phrases.append(f"hook failed: {(self.error or {}).get('message', '')}")
            elif kind == "mended":
                phrases.append("a hook failed then, none does now")
            elif kind == "text":
                phrases.append("text")
            elif kind == "signals":
                phrases.append(f"signals {_signals(before, after)}")
            elif kind == "discard":
                phrases.append("discarded" if after.get("discarded") else "no longer discarded")
            elif kind == "ending":
                phrases.append(_ending(before.get("ends"), after.get("ends")))
        if self.incomplete:
            phrases.append(f"the reply is incomplete: {in_words(self.incomplete)}")
        return phrases

    def hand(self) -> str:
        """What a human had changed, and how that affects the comparison; empty for nothing."""
        done = [text for what, text in _BY_HAND.items() if what in self.by_hand]
        if not done:
            return ""
        basis = "that reply" if "raw" in self.by_hand else "it"
        return f"{', '.join(done)} by hand then: compared with what the hooks made of {basis}"

    def diff(self) -> list[tuple[Op, str]]:
        """The word diff of the old and the new text; empty where they are equal."""
        if self.before is None or self.after is None or "text" not in self.kinds:
            return []
        return word_diff(str(self.before["text"]), str(self.after["text"]))


_BY_HAND: Final = {
    "raw": "raw reply edited",
    "text": "text edited",
    "discard": "discard overridden",
    "ending": "ending overridden",
}


def _signals(before: dict[str, Any], after: dict[str, Any]) -> str:
    old, new = before.get("signals") or [], after.get("signals") or []
    gone = [f"-{name}" for name in _names(old, new)]
    come = [f"+{name}" for name in _names(new, old)]
    return " ".join([*gone, *come]) or "elsewhere"


def _names(these: list[dict[str, Any]], those: list[dict[str, Any]]) -> list[str]:
    known = [match.get("signal") for match in those]
    return list(
        dict.fromkeys(
            f"{match['signal']} at {match['start']}-{match['end']}"
            if match.get("signal") in known
            else str(match.get("signal"))
            for match in these
            if match not in those
        )
    )


def _ending(before: str | None, after: str | None) -> str:
    if after is None:
        return "no longer ends here"
    kind = ending_phrase(after)
    return f"ends here ({kind})" if before is None else f"ends here otherwise ({kind})"


def changes_of(result: Rehooked) -> Iterator[Changed]:
    """The changed replies, log by log."""
    for outcome in result.outcomes:
        path = result.sources[outcome["log"]].path
        incomplete = {tuple(row[:3]): str(row[3]) for row in outcome.get("incomplete", ())}
        for change in outcome.get("changed", ()):
            yield Changed(
                log=path,
                session=change["session"],
                turn=change["turn"],
                attempt=change["attempt"],
                kinds=tuple(change["kinds"]),
                counterfactual=change["counterfactual"],
                raw=change["raw"],
                before=change["before"],
                after=change["after"],
                error=change["error"],
                by_hand=tuple(change["by_hand"]),
                incomplete=incomplete.get(
                    (change["session"], change["turn"], change["attempt"]), ""
                ),
            )
