"""The results of a rehook in words, as JSON-compatible data and as a report."""

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
from convtui.text.counts import counted
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


@dataclass(slots=True, frozen=True)
class Counts:
    """The numbers of a rehook."""

    logs: int
    """Logs that were read."""
    empty: int
    """Logs without raw replies: nothing to rehook."""
    unreadable: int
    turns: int
    """Replies on which the hooks ran."""
    changed: int
    errors: int
    """Replies on which a hook fails."""
    counterfactual: int
    """Replies after the first changed outcome of their session, changed or not."""
    seeded: int
    """Turns whose raw replies are in a parent log."""
    by_hand: int
    """Replies that a human changed; they are compared with the results of the hooks."""
    incomplete: int
    """Replies that are incomplete."""


class RehookReport:
    """The results of a rehook as numbers, words and data."""

    def __init__(self, result: Rehooked) -> None:
        self.result = result
        self.changes = list(_changes(result))
        outcomes = result.outcomes
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
        """Whether no result changed, over all logs; False if the rehook was stopped."""
        return not self.changes and not self.result.stopped

    @property
    def verdict(self) -> Verdict:
        """The summary as a verdict: good if `same`, else bad."""
        sign = "✓" if self.same else "!" if self.changes else "■"
        return Verdict(self.summary(), "good" if self.same else "bad", sign=sign)

    def unreadable(self) -> list[str]:
        """The reasons why logs could not be read."""
        return [str(outcome["error"]) for outcome in self.result.outcomes if "error" in outcome]

    def endings(self) -> list[tuple[Path, int, str]]:
        """The sessions that now end at another turn: log, session, description."""
        endings = []
        for path, outcome in self.logs():
            for ending in outcome.get("endings", ()):
                before, after = ending["before"], ending["after"]
                if after is None:
                    text = f"ended at turn {before}; now goes on where the record ends"
                elif before is None:
                    text = f"ends at turn {after} now: earlier"
                else:
                    how = "earlier" if after < before else "later"
                    text = f"ended at turn {before}, ends at turn {after} now: {how}"
                endings.append((path, int(ending["session"]), text))
        return endings

    def logs(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Each finished log with its outcome."""
        for outcome in self.result.outcomes:
            yield self.result.logs[outcome["log"]], outcome

    def summary(self) -> str:
        """One line: how many replies were rehooked, how many changed."""
        counts = self.counts
        text = f"{counted(counts.turns, 'reply', 'replies')} of {counted(counts.logs, 'log')}: "
        if not counts.turns:
            text += "nothing went through the hooks"
        elif not counts.changed:
            text += "nothing changed"
        else:
            sure = sum(not change.counterfactual for change in self.changes)
            text += f"{counts.changed:,} changed"
            if sure < counts.changed:
                text += f", {counts.changed - sure:,} of them counterfactual"
            if counts.errors:
                text += f"; hooks failed on {counts.errors:,}"
        if counts.empty:
            text += f"; nothing to rehook in {counted(counts.empty, 'log')}"
        if self.result.stopped:
            text += f"; {self.result.stopped}"
        return text

    def notes(self) -> list[str]:
        """Remarks beside the results, one line each: unreadable logs, damage, manual changes."""
        result, counts = self.result, self.counts
        notes = [f"not rehooked: {reason}" for reason in self.unreadable()]
        damaged = sum(outcome.get("damaged", 0) for outcome in result.outcomes)
        if damaged:
            notes.append(
                f"{damaged} damaged lines were passed over; `convtui check LOG` names them"
            )
        if counts.seeded:
            notes.append(
                f"the raw replies of {counted(counts.seeded, 'turn')} stand in the logs that these"
                " go on from: name those, too"
            )
        if counts.by_hand:
            notes.append(
                f"{counts.by_hand} replies were changed by hand then; they are compared with what"
                " the hooks had made, not with what a human made of that"
            )
        if counts.incomplete:
            reasons = Counter(
                str(row[3]) for outcome in result.outcomes for row in outcome.get("incomplete", ())
            )
            text = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
            notes.append(
                f"{counted(counts.incomplete, 'reply', 'replies')} had not come to an end ({text});"
                " the hooks were given what there was"
            )
        if result.output:
            first = result.output.strip().split("\n", 1)[0]
            notes.append(f"the provider's code printed {len(result.output)} characters: {first}")
        return notes

    def report(self, *, diff: bool = False) -> Report:
        """The changes by log, the sessions that end elsewhere, and the summary as verdict.

        `diff` adds word diffs of the texts.
        """
        by_log: dict[Path, list[Sentence]] = {}
        for change in self.changes:
            by_log.setdefault(change.log, []).append(_sentence(change, diff=diff))
        sections = [Section(str(log), [Listing(changes)]) for log, changes in by_log.items()]
        endings = [
            Sentence(f"session {session}  {text}", path.name)
            for path, session, text in self.endings()
        ]
        if endings:
            sections.append(Section("sessions that end elsewhere", [Listing(endings)]))
        return Report(sections, verdict=self.verdict)

    # --- data

    def as_dict(self) -> dict[str, Any]:
        """The rehook as JSON-compatible data; texts are exact, what is unknown is None."""
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
    for outcome in result.outcomes:
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
    """Describes progress: logs, replies, replies per second, time left.

    The clock starts at the first call, so that loading the hooks does not count.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._began: float | None = None

    def __call__(self, logs: int, replies: int) -> str:
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        seconds = now - self._began
        text = f"{logs:,}/{self._total:,} logs  {replies:,} replies"
        if seconds > 0 and replies:
            text += f"  {replies / seconds:,.0f}/s"
        if seconds > 0 and 0 < logs < self._total:
            left = round(seconds / logs * (self._total - logs))
            minutes = f"{left // 60}:{left % 60:02}" if left >= 60 else f"{max(1, left)} s"
            text += f"  {minutes} left"
        return text
