"""What a rehook showed: in words, as plain data and as JUnit XML."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from convtui.analysis.rehook.rehook_process import Rehooked
from convtui.errors import FileError
from convtui.text.boundary import visible
from convtui.text.word_diff import Op, word_diff
from convtui.text_checks.incomplete import in_words

_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What may not stand in XML 1.0, in any form."""


_PLACE: Final = re.compile(r"""(?P<file>[^"'\s]+\.py)(?:",\ line\ |:)(?P<line>\d+)""")
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
    def place(self) -> str:
        """`file:line` of the developer's own code where a hook fails; empty where unknown."""
        for frame in reversed((self.error or {}).get("frames") or ()):
            found = _PLACE.search(str(frame))
            if found is not None:
                return f"{Path(found['file']).name}:{found['line']}"
        return ""

    def words(self) -> list[str]:
        """What differs, a phrase each."""
        before, after = self.before or {}, self.after or {}
        said: list[str] = []
        for kind in self.kinds:
            if kind == "error":
                said.append(f"hook failed: {(self.error or {}).get('message', '')}")
            elif kind == "mended":
                said.append("a hook failed then, none does now")
            elif kind == "text":
                said.append("text")
            elif kind == "signals":
                said.append(f"signals {_signals(before, after)}")
            elif kind == "discard":
                said.append("discarded" if after.get("discarded") else "no longer discarded")
            elif kind == "ending":
                said.append(_ending(before.get("ends"), after.get("ends")))
        if self.incomplete:
            said.append(f"the reply is incomplete: {in_words(self.incomplete)}")
        return said

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


class Report:
    """A rehook, ready to be told."""

    def __init__(self, result: Rehooked) -> None:
        self.result = result
        self.changes = list(_changes(result))
        found = result.found
        self.counts = Counts(
            logs=sum("error" not in each for each in found),
            empty=sum("error" not in each and not each["turns"] for each in found),
            unreadable=sum("error" in each for each in found),
            turns=sum(len(each.get("turns", ())) for each in found),
            changed=len(self.changes),
            errors=sum("error" in change.kinds for change in self.changes),
            counterfactual=sum(each.get("counterfactual", 0) for each in found),
            seeded=sum(each.get("seeded", 0) for each in found),
            by_hand=sum(each.get("by_hand", 0) for each in found),
            incomplete=sum(len(each.get("incomplete", ())) for each in found),
        )

    @property
    def same(self) -> bool:
        """Whether every hook gave what it gave then, over all logs."""
        return not self.changes and not self.result.stopped

    def unreadable(self) -> list[str]:
        """Why logs could not be read."""
        return [str(each["error"]) for each in self.result.found if "error" in each]

    def endings(self) -> list[tuple[Path, int, str]]:
        """Sessions that end at another turn now: log, session, in words."""
        told = []
        for path, found in self._logs():
            for each in found.get("endings", ()):
                before, after = each["before"], each["after"]
                if after is None:
                    words = f"ended at turn {before}; now goes on where the record ends"
                elif before is None:
                    words = f"ends at turn {after} now: earlier"
                else:
                    how = "earlier" if after < before else "later"
                    words = f"ended at turn {before}, ends at turn {after} now: {how}"
                told.append((path, int(each["session"]), words))
        return told

    def _logs(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for found in self.result.found:
            yield self.result.logs[found["log"]], found

    def summary(self) -> str:
        """One line: what went through, what differs."""
        counts = self.counts
        said = f"{_many(counts.turns, 'reply', 'replies')} of {_many(counts.logs, 'log')}: "
        if not counts.turns:
            said += "nothing went through the hooks"
        elif not counts.changed:
            said += "nothing changed"
        else:
            sure = sum(not change.counterfactual for change in self.changes)
            said += f"{counts.changed:,} changed"
            if sure < counts.changed:
                said += f", {counts.changed - sure:,} of them counterfactual"
            if counts.errors:
                said += f"; hooks failed on {counts.errors:,}"
        if counts.empty:
            said += f"; nothing to rehook in {_many(counts.empty, 'log')}"
        if self.result.stopped:
            said += f"; {self.result.stopped}"
        return said

    def notes(self) -> list[str]:
        """What is worth knowing and no result, a line each."""
        result, counts = self.result, self.counts
        notes = [f"not rehooked: {reason}" for reason in self.unreadable()]
        damaged = sum(found.get("damaged", 0) for found in result.found)
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
                str(row[3]) for each in result.found for row in each.get("incomplete", ())
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
            "logs": [self._log(path, found) for path, found in self._logs()],
        }

    def _log(self, path: Path, found: dict[str, Any]) -> dict[str, Any]:
        if "error" in found:
            return {"log": str(path), "error": found["error"]}
        return {
            "log": str(path),
            "id": found["id"],
            "replies": len(found["turns"]),
            "counterfactual": found["counterfactual"],
            "damaged_lines": found["damaged"],
            "incomplete": [
                {"session": session, "turn": turn, "attempt": attempt, "reason": reason}
                for session, turn, attempt, reason in found["incomplete"]
            ],
            "endings": found["endings"],
            "changed": [
                {key: value for key, value in change.items() if key != "log"}
                for change in found["changed"]
            ],
        }

    # --- for CI

    def write_junit(self, path: Path) -> None:
        """JUnit XML: a suite for every log, a case for every reply. Raises `FileError`."""
        root = ET.Element("testsuites", name="convtui rehook")
        totals = {"tests": 0, "failures": 0, "errors": 0}
        for log, found in self._logs():
            suite = ET.SubElement(root, "testsuite", name=_clean(log.name))
            own = self._suite(suite, log, found)
            for name, value in own.items():
                suite.set(name, str(value))
                totals[name] += value
        if self.result.stopped:
            case = ET.SubElement(ET.SubElement(root, "testsuite", name="rehook"), "testcase")
            case.set("name", "all logs")
            ET.SubElement(case, "error", message=_clean(self.result.stopped))
            totals["errors"] += 1
        for name, value in totals.items():
            root.set(name, str(value))
        try:
            with path.open("wb") as file:
                ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
        except OSError as error:
            raise FileError(f"{path}: cannot be written: {error.strerror or error}") from error

    def _suite(self, suite: ET.Element, log: Path, found: dict[str, Any]) -> dict[str, int]:
        name = _clean(log.name)
        own = {"tests": 0, "failures": 0, "errors": 0}
        if "error" in found:
            case = ET.SubElement(suite, "testcase", classname=name, name="log")
            ET.SubElement(case, "error", message=_clean(str(found["error"])))
            return own | {"tests": 1, "errors": 1}
        changes = {(c.session, c.turn, c.attempt): c for c in self.changes if c.log == log}
        incomplete = {tuple(row[:3]): str(row[3]) for row in found["incomplete"]}
        for session, turn, attempt in found["turns"]:
            own["tests"] += 1
            case = ET.SubElement(suite, "testcase", classname=name)
            reason = incomplete.get((session, turn, attempt))
            if reason is not None:
                properties = ET.SubElement(case, "properties")
                ET.SubElement(properties, "property", name="incomplete", value=_clean(reason))
            change = changes.get((session, turn, attempt))
            if change is None:
                case.set("name", f"{session}:{turn}" + (f" attempt {attempt}" * (attempt > 1)))
                continue
            case.set("name", change.address)
            kind = "error" if "error" in change.kinds else "failure"
            own[f"{kind}s"] += 1
            node = ET.SubElement(case, kind, type=",".join(change.kinds))
            said = "; ".join(change.words())
            node.set("message", _clean(said + " (counterfactual)" * change.counterfactual))
            node.text = _clean("\n".join(details(change)))
        return own


def _changes(result: Rehooked) -> Iterator[Changed]:
    for found in result.found:
        incomplete = {tuple(row[:3]): str(row[3]) for row in found.get("incomplete", ())}
        for each in found.get("changed", ()):
            yield Changed(
                log=result.logs[found["log"]],
                session=each["session"],
                turn=each["turn"],
                attempt=each["attempt"],
                kinds=tuple(each["kinds"]),
                counterfactual=each["counterfactual"],
                raw=each["raw"],
                before=each["before"],
                after=each["after"],
                error=each["error"],
                by_hand=tuple(each["by_hand"]),
                incomplete=incomplete.get((each["session"], each["turn"], each["attempt"]), ""),
            )


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


def details(change: Changed) -> list[str]:
    """The developer's frames of a failure, or the text then and now, as lines."""
    if change.error is not None:
        return [str(frame) for frame in change.error.get("frames", ())]
    if change.before is None or change.after is None or "text" not in change.kinds:
        return []
    return [f"- {change.before['text']}", f"+ {change.after['text']}"]


def _many(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _clean(text: str) -> str:
    """Text as it may stand in XML: what is invisible or illegal there becomes visible."""
    return _ILLEGAL.sub("\ufffd", visible(text))
