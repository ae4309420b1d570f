"""The bring-up report: the list of probes, their findings, and the session that collects them."""

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
from convtui.text.counts import counted

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
"""What each probe requires, by its name. Probes run in this order."""


_MARKS: Final[dict[Outcome, str]] = {"pass": "pass", "fail": "FAIL", "warn": "warn", "n/a": "n/a"}
_TONES: Final[dict[Outcome, Tone]] = {
    "pass": "good", "fail": "bad", "warn": "doubtful", "n/a": "aside",
}  # fmt: skip
_COUNTED: Final[dict[Outcome, str]] = {
    "pass": "passed", "fail": "failed", "warn": "to look at", "n/a": "not applicable",
}  # fmt: skip
_LONGEST: Final = 400
"""Characters of a finding's sentence that are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a probe, the reason in a sentence, and the turn and log that show it."""

    probe: str
    outcome: Outcome
    says: str
    turn: str | None = None
    log: Path | None = None
    detail: tuple[str, ...] = ()
    """Additional lines: the developer's own frames, what was printed."""

    def sentence(self) -> Sentence:
        """The finding in words; failures and warnings with their details, log and turn."""
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
        """The finding as JSON-compatible data."""
        log = None if self.log is None else str(self.log)
        return asdict(self) | {"log": log, "detail": list(self.detail)}


@dataclass(slots=True)
class ProbeReport:
    """All findings about a provider, and the usage of its calls."""

    provider: dict[str, Any] = field(default_factory=dict)
    """As `inspect_provider()` describes it; empty when it could not be loaded."""
    findings: list[Finding] = field(default_factory=list)
    runs: list[ProbeRun] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether any probe failed; warnings do not count."""
        return any(finding.outcome == "fail" for finding in self.findings)

    def counts(self) -> dict[Outcome, int]:
        """The number of findings by outcome."""
        return {name: sum(f.outcome == name for f in self.findings) for name in _COUNTED}

    def verdict(self) -> Verdict:
        """`counts()` in words."""
        text = ", ".join(f"{count} {_COUNTED[name]}" for name, count in self.counts().items())
        return Verdict(text, "bad" if self.failed else "good")

    def usage(self) -> dict[str, Any]:
        """Calls that reached the model, each attempt counted, and their tokens and cost.

        `{calls, tokens?, cost?}`, cost in US dollars; a figure that no call reports is left out.
        """
        calls = 0
        tokens: list[int] = []
        costs: list[float] = []
        for run in self.runs:
            attempts = run.of("llm.request", "llm.retry", side="provider")
            replaced = [
                r
                for r in run.of("debug.injected", side="provider")
                if r.get("fault") not in ("slow", "truncated", "drop")
            ]
            calls += max(0, len(attempts) - len(replaced))
            totals = run.transcript.totals.get("provider")
            if totals is not None and totals.tokens is not None:
                tokens.append(totals.tokens)
            if totals is not None and totals.cost is not None:
                costs.append(totals.cost)
        usage: dict[str, Any] = {"calls": calls}
        if tokens:
            usage["tokens"] = sum(tokens)
        if costs:
            usage["cost"] = round(sum(costs), 6)
        return usage

    def usage_words(self) -> str:
        """`usage()` in words."""
        usage = self.usage()
        text = f"{counted(usage['calls'], 'call')} {'was' if usage['calls'] == 1 else 'were'} made"
        if "tokens" in usage:
            text += f", {counted(usage['tokens'], 'token')}"
            text += f", ${usage['cost']:.4f}" if "cost" in usage else ", cost unknown"
        return text

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-compatible data."""
        return {
            "provider": self.provider.get("identity"),
            "findings": [finding.as_dict() for finding in self.findings],
            "counts": self.counts(),
            "usage": self.usage(),
            "exit_code": 1 if self.failed else 0,
        }


class ProbeSession:
    """What the probes share: the subject, the report so far, callbacks for progress and findings.

    Findings of probes outside `wanted` are dropped; conversations that wanted probes depend on run
    regardless.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        wanted: Collection[str] | None = None,
        progress: Callable[[str], None] = lambda probe: None,
        on_finding: Callable[[Finding], None] = lambda finding: None,
    ) -> None:
        self.subject = subject
        self.wanted = frozenset(PROBES if wanted is None else wanted)
        self.report = ProbeReport()
        self.latency: float | None = None
        """Seconds of the fastest reply so far."""
        self.plain: ProbeRun | None = None
        """The conversation of the first probes."""
        self.progress = progress
        self._on_finding = on_finding

    def wants(self, *probes: str) -> bool:
        """Whether any of these probes is wanted."""
        return not self.wanted.isdisjoint(probes)

    def keep(self, run: ProbeRun) -> ProbeRun:
        """Adds a run to the report, updates `latency` and returns the run."""
        self.report.runs.append(run)
        for record in run.of("llm.response", side="provider"):
            # An injected reply took no time.
            seconds = record.get("duration")
            injected = any(r.get("call") == record.get("call") for r in run.of("debug.injected"))
            if isinstance(seconds, float) and not injected:
                self.latency = seconds if self.latency is None else min(self.latency, seconds)
        return run

    def add(
        self,
        probe: str,
        outcome: Outcome,
        says: str,
        run: ProbeRun | None = None,
        turn: str | None = None,
        *,
        detail: Sequence[str] = (),
    ) -> None:
        """Adds a finding and reports it, where its probe is wanted."""
        if probe not in self.wanted:
            return
        log = run.log if run is not None else None
        finding = Finding(probe, outcome, says, turn, log, tuple(detail))
        self.report.findings.append(finding)
        self._on_finding(finding)

    def failed(self, probe: str, run: ProbeRun, says: str = "") -> bool:
        """Adds a run's failure, if it has one, as a finding; returns whether it has.

        `says` goes before the failure's message.
        """
        failure = run.failure
        if failure is None:
            return False
        message, frames, turn = failure
        self.add(probe, "fail", f"{says}{message}", run, turn, detail=frames)
        return True


def chosen(only: Sequence[str]) -> list[str] | None:
    """The names in `only`, split at commas; None for all probes.

    Raises `UsageError` for a name that is no probe.
    """
    names = [name.strip() for text in only for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PROBES:
            hint = did_you_mean(name, PROBES) or f"; there are {', '.join(PROBES)}"
            raise UsageError(f"--only: there is no probe {name!r}{hint}")
    return names or None
