"""The results of a rehook in words, as JSON-compatible data and as a report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.analysis.rehook.changed import Changed, changes_of
from convtui.analysis.rehook.rehook_process import Rehooked
from convtui.analysis.rehook.sources import Source
from convtui.analysis.report.diffs import clipped
from convtui.analysis.report.report import Diff, Listing, Report, Section, Sentence, Tone, Verdict
from convtui.errors import listed
from convtui.log.run_summary import short_id
from convtui.text.counts import counted

_NAMED_PARENTS: Final = 3
"""Parents that the summary names; more are counted."""


@dataclass(slots=True, frozen=True)
class Counts:
    """The numbers of a rehook."""

    logs: int
    """Logs that were named, and read."""
    parents: int
    """Logs that were read because branches continue them."""
    empty: int
    """Logs without raw replies: nothing to rehook."""
    unreadable: int
    turns: int
    """Replies on which the hooks ran."""
    inherited: int
    """Those of them that are from `parents`."""
    changed: int
    errors: int
    """Replies on which a hook fails."""
    counterfactual: int
    """Replies after the first changed outcome of their session, changed or not."""
    seeded: int
    """Turns whose raw replies are in a parent log that was not read."""
    by_hand: int
    """Replies that a human changed; they are compared with the results of the hooks."""
    incomplete: int
    """Replies that are incomplete."""


class RehookReport:
    """The results of a rehook as numbers, words and data."""

    def __init__(self, result: Rehooked) -> None:
        self.result = result
        self.changes = list(changes_of(result))
        outcomes = result.outcomes
        read = [(s, outcome) for s, outcome in self.sources() if "error" not in outcome]
        parents = [outcome for source, outcome in read if not source.named]
        self._parent_ids = [str(outcome["id"]) for outcome in parents if outcome["turns"]]
        self.counts = Counts(
            logs=len(read) - len(parents),
            parents=len(parents),
            empty=sum(
                source.named and source.parent is None and not outcome["turns"]
                for source, outcome in read
            ),
            unreadable=sum("error" in outcome for outcome in outcomes),
            turns=sum(len(outcome.get("turns", ())) for outcome in outcomes),
            inherited=sum(len(outcome["turns"]) for outcome in parents),
            changed=len(self.changes),
            errors=sum("error" in change.kinds for change in self.changes),
            counterfactual=sum(outcome.get("counterfactual", 0) for outcome in outcomes),
            seeded=sum(outcome["seeded"] for source, outcome in read if source.parent is None),
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

    def sources(self) -> Iterator[tuple[Source, dict[str, Any]]]:
        """Each finished log with its outcome."""
        for outcome in self.result.outcomes:
            yield self.result.sources[outcome["log"]], outcome

    def logs(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The path of each finished log with its outcome."""
        for source, outcome in self.sources():
            yield source.path, outcome

    def children(self) -> dict[Path, str]:
        """The logs that were read as parents, each with the name of the branch."""
        return {s.path: s.child.path.name for s in self.result.sources if s.child is not None}

    def summary(self) -> str:
        """One line: how many replies were rehooked, how many changed."""
        counts = self.counts
        text = f"{counted(counts.turns, 'reply', 'replies')} of {counted(counts.logs, 'log')}"
        if counts.inherited:
            text += f", {counts.inherited:,} of them from {self._parents()}"
        text += ": "
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

    def _parents(self) -> str:
        ids = self._parent_ids
        if len(ids) > _NAMED_PARENTS:
            return f"{len(ids):,} parents"
        whose = "its" if self.counts.logs == 1 else "the"
        return (
            f"{whose} parent{'s' * (len(ids) > 1)} {listed([short_id(run) or run for run in ids])}"
        )

    def _not_read(self) -> Iterator[str]:
        """Why replies of the past were left out."""
        missing = [(s, outcome) for s, outcome in self.sources() if s.missing]
        turns = sum(outcome.get("seeded", 0) for _, outcome in missing)
        if missing:
            source, _ = missing[0]
            where = source.path.name if len(missing) == 1 else counted(len(missing), "log")
            yield (
                f"{source.missing}{' (and others)' * (len(missing) > 1)}; the replies of"
                f" {counted(turns, 'turn')} that {where} began with are left out"
            )
        if self.counts.seeded > turns:
            rest = counted(self.counts.seeded - turns, "turn")
            yield f"the replies of {rest} that these logs began with are left out"

    def notes(self) -> list[str]:
        """Remarks beside the results, one line each: unreadable logs, damage, manual changes."""
        result, counts = self.result, self.counts
        notes = [f"not rehooked: {reason}" for reason in self.unreadable()]
        damaged = sum(outcome.get("damaged", 0) for outcome in result.outcomes)
        if damaged:
            notes.append(
                f"{damaged} damaged lines were passed over; `convtui check LOG` names them"
            )
        notes += self._not_read()
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
        children = self.children()
        sections = [
            Section(
                f"{log} (parent of {children[log]})" if log in children else str(log),
                [Listing(changes)],
            )
            for log, changes in by_log.items()
        ]
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
            "logs": [self._log(source, outcome) for source, outcome in self.sources()],
        }

    def _log(self, source: Source, outcome: dict[str, Any]) -> dict[str, Any]:
        if "error" in outcome:
            return {"log": str(source.path), "error": outcome["error"]}
        return {
            "log": str(source.path),
            "named": source.named,
            "parent": str(source.parent.path) if source.parent is not None else None,
            "missing": source.missing or None,
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
