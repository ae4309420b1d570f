"""The bring-up report: the probes, what each found, and where they are made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from convtui.analysis.probe.conversation import ProbeRun, Subject
from convtui.analysis.report.report import Sentence, Tone, Verdict
from convtui.errors import UsageError, did_you_mean
from convtui.scenario.provider_hooks import METHODS
from convtui.text.boundary import visible_line

Outcome = Literal["pass", "fail", "warn", "n/a"]

PROBES: Final[dict[str, str]] = {
    "load": "It is imported and made, with no method that is nearly a hook's name.",
    "setup": "setup() succeeds.",
    "hook_order": "The hooks are called in their order: "
    + ", ".join(f"{hook.name} {hook.called}" for hook in METHODS if hook.called)
    + ".",
    "reply": "It answers a plain question with text.",
    "reset": "A second session of a conversation knows nothing of the first.",
    "empty": "It answers an empty message.",
    "long": "It answers a message of 200,000 characters.",
    "unicode": "It answers emoji, combining marks, right-to-left text, U+2028.",
    "surrogates": "It answers lone surrogates, or says by name why not.",
    "control": "It answers control characters.",
    "tool_call": "A tool is called and gives a result.",
    "two_at_once": "Two conversations at the same time do not mix.",
    "cancel": "A call is cancelled at once, and the next one works.",
    "timeout": "A call that takes longer than turn_timeout is ended and told as that.",
    "failed_call": "cleanup() runs once after a call that failed.",
    "hooks_odd": "The hooks take empty, huge and odd replies.",
    "hooks_same": "The hooks make the same of the same reply twice.",
    "net_429": "A 429 of the endpoint is tried again.",
    "net_500": "A 500 of the endpoint is tried again.",
    "net_drop": "A stream that the endpoint drops is tried again.",
    "net_slow": "A late first byte of the endpoint is waited for.",
    "net_malformed": "A chunk of the endpoint that is no JSON is told as that.",
    "error_text": "No reply of all that came is the text of an error.",
    "output": "Nothing is printed.",
    "breakpoint": "No breakpoint() is left in the code.",
}
"""Every probe and what passes it."""


_MARKS: Final[dict[Outcome, str]] = {"pass": "pass", "fail": "FAIL", "warn": "warn", "n/a": "n/a"}
_TONES: Final[dict[Outcome, Tone]] = {
    "pass": "good", "fail": "bad", "warn": "doubtful", "n/a": "aside",
}  # fmt: skip
_COUNTED: Final[dict[Outcome, str]] = {
    "pass": "passed", "fail": "failed", "warn": "to look at", "n/a": "not applicable",
}  # fmt: skip
_LONGEST: Final = 400
"""Characters of what a probe found."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found: the outcome, why in a sentence, and where it can be seen."""

    probe: str
    outcome: Outcome
    says: str
    turn: str | None = None
    log: Path | None = None
    detail: tuple[str, ...] = ()
    """Lines to go with it: the developer's own frames, what was printed."""

    def sentence(self) -> Sentence:
        """The finding in words; what is not well with its details, and where it can be seen."""
        below = []
        if self.outcome in ("fail", "warn"):
            below = [Sentence(line) for text in self.detail for line in text.split("\n")]
            if self.log is not None:
                below.append(
                    Sentence(f"see {self.log}" + (f" at turn {self.turn}" * bool(self.turn)))
                )
        says = visible_line(self.says, _LONGEST)
        name = f"{_MARKS[self.outcome]:4}  {self.probe}"
        return Sentence(says, name, _TONES[self.outcome], below=below)

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        log = None if self.log is None else str(self.log)
        return asdict(self) | {"log": log, "detail": list(self.detail)}


@dataclass(slots=True)
class ProbeReport:
    """All findings about a provider, and what the calls have used."""

    provider: dict[str, Any] = field(default_factory=dict)
    """As `inspect_provider()` tells it; empty when it could not be loaded."""
    findings: list[Finding] = field(default_factory=list)
    told: list[ProbeRun] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether a probe failed."""
        return any(finding.outcome == "fail" for finding in self.findings)

    def counts(self) -> dict[Outcome, int]:
        """How many findings there are of each outcome."""
        return {name: sum(f.outcome == name for f in self.findings) for name in _COUNTED}

    def verdict(self) -> Verdict:
        """How many findings there are of each outcome, in words."""
        words = ", ".join(f"{count} {_COUNTED[name]}" for name, count in self.counts().items())
        return Verdict(words, "bad" if self.failed else "good")

    def usage(self) -> dict[str, Any]:
        """Calls that were really made, each attempt counted, and what is known of their use.

        `{calls, tokens?, cost?}`; a figure that no call has told is left out.
        """
        calls = 0
        tokens: list[int] = []
        costs: list[float] = []
        for told in self.told:
            attempts = told.of("llm.request", "llm.retry", side="provider")
            replaced = [
                r
                for r in told.of("debug.injected", side="provider")
                if r.get("fault") not in ("slow", "truncated", "drop")
            ]
            calls += max(0, len(attempts) - len(replaced))
            totals = told.transcript.totals.get("provider")
            if totals is not None and totals.tokens is not None:
                tokens.append(totals.tokens)
            if totals is not None and totals.cost is not None:
                costs.append(totals.cost)
        found: dict[str, Any] = {"calls": calls}
        if tokens:
            found["tokens"] = sum(tokens)
        if costs:
            found["cost"] = round(sum(costs), 6)
        return found

    def usage_words(self) -> str:
        """The same in words."""
        usage = self.usage()
        words = "1 call was made" if usage["calls"] == 1 else f"{usage['calls']} calls were made"
        words += f", {usage['tokens']:,} tokens" if "tokens" in usage else ", tokens unknown"
        return words + (f", ${usage['cost']:.4f}" if "cost" in usage else ", cost unknown")

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "provider": self.provider.get("identity"),
            "findings": [finding.as_dict() for finding in self.findings],
            "counts": self.counts(),
            "usage": self.usage(),
            "exit_code": 1 if self.failed else 0,
        }


class ProbeSession:
    """Where the probes are made: the subject, what is known of it by now, who is told of progress.

    `wanted` are the probes whose findings are asked for; what others need is done all the same.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        wanted: Collection[str] | None = None,
        progress: Callable[[str], None] = lambda probe: None,
        found: Callable[[Finding], None] = lambda finding: None,
    ) -> None:
        self.subject = subject
        self.wanted = frozenset(PROBES if wanted is None else wanted)
        self.report = ProbeReport()
        self.latency: float | None = None
        """Seconds of its quickest reply so far."""
        self.plain: ProbeRun | None = None
        """The conversation of the first probes."""
        self.progress = progress
        self._found = found

    def wants(self, *probes: str) -> bool:
        """Whether a finding of any of these is asked for."""
        return not self.wanted.isdisjoint(probes)

    def keep(self, told: ProbeRun) -> ProbeRun:
        """Remembers a conversation, for what is looked for in all of them."""
        self.report.told.append(told)
        for record in told.of("llm.response", side="provider"):
            # A reply that was put in by a probe took no time.
            seconds = record.get("duration")
            injected = any(r.get("call") == record.get("call") for r in told.of("debug.injected"))
            if isinstance(seconds, float) and not injected:
                self.latency = seconds if self.latency is None else min(self.latency, seconds)
        return told

    def add(
        self,
        probe: str,
        outcome: Outcome,
        says: str,
        told: ProbeRun | None = None,
        turn: str | None = None,
        *,
        detail: Sequence[str] = (),
    ) -> None:
        """A finding; kept when it is asked for."""
        if probe not in self.wanted:
            return
        log = told.log if told is not None else None
        finding = Finding(probe, outcome, says, turn, log, tuple(detail))
        self.report.findings.append(finding)
        self._found(finding)

    def failed(self, probe: str, told: ProbeRun, says: str = "") -> bool:
        """Adds what went wrong in a conversation as a failed probe; whether something did."""
        failure = told.failure
        if failure is None:
            return False
        message, frames, turn = failure
        self.add(probe, "fail", f"{says}{message}", told, turn, detail=frames)
        return True


def chosen(only: Sequence[str]) -> list[str] | None:
    """The probes that are named, also with commas; None: all. Raises `UsageError`."""
    names = [name.strip() for text in only for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PROBES:
            hint = did_you_mean(name, PROBES) or f"; there are {', '.join(PROBES)}"
            raise UsageError(f"--only: there is no probe {name!r}{hint}")
    return names or None
