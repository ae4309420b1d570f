"""What a rehook showed: in words, as plain data and as a report."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.analysis.rehook.rehook_process import Rehooked
from convtui.analysis.report.diffs import clipped
from convtui.analysis.report.report import Diff, Listing, Report, Section, Sentence, Tone, Verdict
from convtui.text.word_diff import Op, word_diff
from convtui.text_checks.incomplete import in_words

_LOCATION: Final = re.compile(r"""(?P<file>[^"'\s]+\.py)(?:",\ line\ |:)(?P<line>\d+)""")
"""Where a frame of a traceback stands."""


@dataclass(slots=True, frozen=True)
class Changed:
    """One reply of which the hooks make something else now."""

    log: Path
    session: int
    turn: int
    attempt: int
    kinds: tuple[str, ...]
    """text, signals, discard, ending, error (a hook fails now), mended (it failed then)."""
    counterfactual: bool
    """Whether something before it in its session came out differently: said after that, the
    reply would not have been this one."""
    raw: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    error: dict[str, Any] | None
    by_hand: tuple[str, ...] = ()
    """What a human had changed of it: raw, text, discard, ending."""
    incomplete: str = ""
    """Why the reply had not come to its end; see `convtui.text_checks.incomplete`."""

    @property
    def address(self) -> str:
        """`session:turn`, with the attempt where it is not the first."""
        attempt = f" (attempt {self.attempt})" if self.attempt > 1 else ""
        return f"{self.session}:{self.turn}{attempt}"

    @property
    def location(self) -> str:
        """`file:line` of the developer's own code where a hook fails; empty where unknown."""
        for frame in reversed((self.error or {}).get("frames") or ()):
            match = _LOCATION.search(str(frame))
            if match is not None:
                return f"{Path(match['file']).name}:{match['line']}"
        return ""

    def words(self) -> list[str]:
        """What differs, phrase by phrase."""
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
        """What a human had done to it, and what that means here; empty for nothing."""
        done = [words for what, words in _BY_HAND.items() if what in self.by_hand]
        if not done:
            return ""
        on = "that reply" if "raw" in self.by_hand else "it"
        return f"{', '.join(done)} by hand then: compared with what the hooks made of {on}"

    def diff(self) -> list[tuple[Op, str]]:
        """The text then and now as a word diff; empty where it is the same."""
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
    words = after.replace("_", " ")
    return f"ends here ({words})" if before is None else f"ends here otherwise ({words})"


@dataclass(slots=True, frozen=True)
class Counts:
    """A rehook in numbers."""

    logs: int
    """Logs that were read."""
    empty: int
    """Logs without raw replies: nothing to rehook."""
    unreadable: int
    turns: int
    """Replies that went through the hooks."""
    changed: int
    errors: int
    """Replies on which a hook fails."""
    counterfactual: int
    """Replies after the first changed outcome of their session, changed or not."""
    seeded: int
    """Turns whose raw replies stand in a parent log."""
    by_hand: int
    """Replies of which a human changed something: compared with what the hooks had made."""
    incomplete: int
    """Replies that had not come to their end."""


class RehookReport:
    """A rehook in numbers, words and data."""

    def __init__(self, result: Rehooked) -> None:
        self.result = result
        self.changes = list(_changes(result))
        outcomes = result.found
        self.counts = Counts(
            logs=sum("error" not in outcome for outcome in outcomes),
            empty=sum("error" not in outcome and not outcome["turns"] for outcome in outcomes),
            unreadable=sum("error" in outcome for outcome in outcomes),
            turns=sum(len(outcome.get("turns", ())) for outcome in outcomes),
            changed=len(self.changes),
            errors=sum("error" in change.kinds for change in self.changes),
            counterfactual=sum(outcome.get("counterfactual", 0) for outcome in outcomes),
            seeded=sum(outcome.get("seeded", 0) for outcome in outcomes),
            by_hand=sum(outcome.get("by_hand", 0) for outcome in outcomes),
            incomplete=sum(len(outcome.get("incomplete", ())) for outcome in outcomes),
        )

    @property
    def same(self) -> bool:
        """Whether every hook gave what it gave then, over all logs."""
        return not self.changes and not self.result.stopped

    @property
    def verdict(self) -> Verdict:
        """The summary, and whether it is good news."""
        sign = "✓" if self.same else "!" if self.changes else "■"
        return Verdict(self.summary(), "good" if self.same else "bad", sign=sign)

    def unreadable(self) -> list[str]:
        """Why logs could not be read."""
        return [str(outcome["error"]) for outcome in self.result.found if "error" in outcome]

    def endings(self) -> list[tuple[Path, int, str]]:
        """Sessions that end at another turn now: log, session, in words."""
        endings = []
        for path, outcome in self.logs():
            for ending in outcome.get("endings", ()):
                before, after = ending["before"], ending["after"]
                if after is None:
                    words = f"ended at turn {before}; now goes on where the record ends"
                elif before is None:
                    words = f"ends at turn {after} now: earlier"
                else:
                    how = "earlier" if after < before else "later"
                    words = f"ended at turn {before}, ends at turn {after} now: {how}"
                endings.append((path, int(ending["session"]), words))
        return endings

    def logs(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Each log that was taken, and what came of it."""
        for outcome in self.result.found:
            yield self.result.logs[outcome["log"]], outcome

    def summary(self) -> str:
        """One line: what went through, what differs."""
        counts = self.counts
        words = f"{_many(counts.turns, 'reply', 'replies')} of {_many(counts.logs, 'log')}: "
        if not counts.turns:
            words += "nothing went through the hooks"
        elif not counts.changed:
            words += "nothing changed"
        else:
            sure = sum(not change.counterfactual for change in self.changes)
            words += f"{counts.changed:,} changed"
            if sure < counts.changed:
                words += f", {counts.changed - sure:,} of them counterfactual"
            if counts.errors:
                words += f"; hooks failed on {counts.errors:,}"
        if counts.empty:
            words += f"; nothing to rehook in {_many(counts.empty, 'log')}"
        if self.result.stopped:
            words += f"; {self.result.stopped}"
        return words

    def notes(self) -> list[str]:
        """What is worth knowing and no result, line by line."""
        result, counts = self.result, self.counts
        notes = [f"not rehooked: {reason}" for reason in self.unreadable()]
        damaged = sum(outcome.get("damaged", 0) for outcome in result.found)
        if damaged:
            notes.append(
                f"{damaged} damaged lines were passed over; `convtui check LOG` names them"
            )
        if counts.seeded:
            notes.append(
                f"the raw replies of {counts.seeded} turns stand in the logs that these go on"
                " from: name those, too"
            )
        if counts.by_hand:
            notes.append(
                f"{counts.by_hand} replies were changed by hand then; they are compared with what"
                " the hooks had made, not with what a human made of that"
            )
        if counts.incomplete:
            reasons = Counter(
                str(row[3]) for outcome in result.found for row in outcome.get("incomplete", ())
            )
            words = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
            notes.append(
                f"{_many(counts.incomplete, 'reply', 'replies')} had not come to an end ({words});"
                " the hooks were given what there was"
            )
        if result.output:
            first = result.output.strip().split("\n", 1)[0]
            notes.append(f"the provider's code printed {len(result.output)} characters: {first}")
        return notes

    def report(self, *, diff: bool = False) -> Report:
        """What changed, log by log, then which sessions end elsewhere, then the summary.

        `diff`: with the words that differ.
        """
        by_log: dict[Path, list[Sentence]] = {}
        for change in self.changes:
            by_log.setdefault(change.log, []).append(_sentence(change, diff=diff))
        sections = [Section(str(log), [Listing(changes)]) for log, changes in by_log.items()]
        endings = [
            Sentence(f"session {session}  {words}", path.name)
            for path, session, words in self.endings()
        ]
        if endings:
            sections.append(Section("sessions that end elsewhere", [Listing(endings)]))
        return Report(sections, verdict=self.verdict)

    # --- plain data

    def as_dict(self) -> dict[str, Any]:
        """The rehook as plain data; texts are exact, what is unknown is null."""
        counts = self.counts
        return {
            "same": self.same,
            "provider": self.result.provider.get("identity"),
            "hooks": self.result.provider.get("hooks"),
            "counts": {name: getattr(counts, name) for name in Counts.__slots__},
            "stopped": self.result.stopped or None,
            "output": self.result.output or None,
            "logs": [self._log(path, outcome) for path, outcome in self.logs()],
        }

    def _log(self, path: Path, outcome: dict[str, Any]) -> dict[str, Any]:
        if "error" in outcome:
            return {"log": str(path), "error": outcome["error"]}
        return {
            "log": str(path),
            "id": outcome["id"],
            "replies": len(outcome["turns"]),
            "counterfactual": outcome["counterfactual"],
            "damaged_lines": outcome["damaged"],
            "incomplete": [
                {"session": session, "turn": turn, "attempt": attempt, "reason": reason}
                for session, turn, attempt, reason in outcome["incomplete"]
            ],
            "endings": outcome["endings"],
            "changed": [
                {key: value for key, value in change.items() if key != "log"}
                for change in outcome["changed"]
            ],
        }


def _changes(result: Rehooked) -> Iterator[Changed]:
    for outcome in result.found:
        incomplete = {tuple(row[:3]): str(row[3]) for row in outcome.get("incomplete", ())}
        for change in outcome.get("changed", ()):
            yield Changed(
                log=result.logs[outcome["log"]],
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


def _sentence(change: Changed, *, diff: bool) -> Sentence:
    frames = (change.error or {}).get("frames") or ()
    below: list[Sentence | Diff] = [Sentence(str(frame), tone="aside") for frame in frames]
    if diff and (pieces := change.diff()):
        below.append(Diff(clipped(pieces)))
    hand = f"({change.hand()})" if change.hand() else ""
    aside = "  ".join(filter(None, ["counterfactual" * change.counterfactual, hand]))
    tone: Tone = "plain" if change.error is None else "bad"
    return Sentence("; ".join(change.words()), change.address, tone, aside, below)


class Pace:
    """Says how far a rehook is: logs, replies, replies a second, how long it will still take.

    Its clock begins with the first call: what took its time before was the loading of the hooks.
    """

    def __init__(self, of: int) -> None:
        self._of = of
        self._began: float | None = None

    def __call__(self, logs: int, replies: int) -> str:
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        seconds = now - self._began
        words = f"{logs:,}/{self._of:,} logs  {replies:,} replies"
        if seconds > 0 and replies:
            words += f"  {replies / seconds:,.0f}/s"
        if seconds > 0 and 0 < logs < self._of:
            left = round(seconds / logs * (self._of - logs))
            minutes = f"{left // 60}:{left % 60:02}" if left >= 60 else f"{max(1, left)} s"
            words += f"  {minutes} left"
        return words


def _many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"
