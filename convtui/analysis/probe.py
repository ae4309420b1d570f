"""The bring-up report: what a provider does under trying conditions, probe by probe.

Every probe is a conversation in an engine process of its own, with a log; some look at what the
others have recorded. Nothing is asked of a provider but what the probes say here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from convtui.analysis.probe_talk import Subject, Told, address
from convtui.errors import UsageError, did_you_mean

Outcome = Literal["pass", "fail", "warn", "n/a"]

PROBES: Final[dict[str, str]] = {
    "load": "It is imported and made, with no method that is nearly a hook's name.",
    "setup": "setup() succeeds.",
    "hook_order": "setup, prepare_sessions, enter_session, respond, post-process once a reply,"
    " finish_and_reset between sessions, cleanup once.",
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
_PLAIN: Final = ("setup", "hook_order", "reply", "reset", "tool_call", "timeout", "error_text",
                 "output", "breakpoint")  # fmt: skip


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

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return {
            "probe": self.probe,
            "outcome": self.outcome,
            "says": self.says,
            "turn": self.turn,
            "log": None if self.log is None else str(self.log),
            "detail": list(self.detail),
        }


@dataclass(slots=True)
class Report:
    """All findings about a provider, and what the calls have used."""

    provider: dict[str, Any] = field(default_factory=dict)
    """As `inspect_provider()` tells it; empty when it could not be loaded."""
    findings: list[Finding] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether a probe failed."""
        return any(finding.outcome == "fail" for finding in self.findings)

    def counts(self) -> dict[str, int]:
        """How many findings there are of each outcome."""
        outcomes: tuple[Outcome, ...] = ("pass", "fail", "warn", "n/a")
        return {name: sum(f.outcome == name for f in self.findings) for name in outcomes}

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

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "provider": self.provider.get("identity"),
            "findings": [finding.as_dict() for finding in self.findings],
            "counts": self.counts(),
            "usage": self.usage(),
            "exit_code": 1 if self.failed else 0,
        }


class Bench:
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
        self.report = Report()
        self.latency: float | None = None
        """Seconds of its quickest reply so far."""
        self.plain: Told | None = None
        """The conversation of the first probes."""
        self.progress = progress
        self._found = found

    def wants(self, *probes: str) -> bool:
        """Whether a finding of any of these is asked for."""
        return not self.wanted.isdisjoint(probes)

    def keep(self, told: Told) -> Told:
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
        told: Told | None = None,
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

    def failed(self, probe: str, told: Told, says: str = "") -> bool:
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


async def probe(bench: Bench) -> Report:
    """Makes the probes, one after the other.

    Raises `EngineError` when the SPEC names nothing that could be tried; a provider that is there
    and cannot be imported is a finding.
    """
    from convtui.analysis import probe_calls, probe_hooks, probe_network, probe_talks

    report = bench.report
    if not await probe_talks.load(bench):
        return report
    # What others have to know of it comes from the first conversation.
    up = not bench.wants(*_PLAIN) or await probe_talks.plain(bench)
    if up:
        await probe_talks.messages(bench)
        await probe_talks.tool_call(bench)
        await probe_talks.two_at_once(bench)
        await probe_calls.cancel(bench)
        await probe_calls.timeout(bench)
        await probe_calls.failed_call(bench)
        await probe_hooks.odd(bench)
        await probe_hooks.same(bench)
        await probe_network.network(bench)
    else:
        tried = {finding.probe for finding in report.findings}
        for name in PROBES:
            if name not in tried and name not in ("error_text", "output", "breakpoint"):
                bench.add(name, "n/a", "not tried: it does not come up")
    everywhere(bench)
    return report


def everywhere(bench: Bench) -> None:
    """What is looked for in all that was recorded: error texts, output, breakpoints."""
    from convtui.error_words import error_in

    told_by = bench.report.told
    wrong: tuple[Told, dict[str, Any], str] | None = None
    for told in told_by:
        # What a probe has put in is not the provider's.
        own = {r.get("turn") for r in told.of("debug.injected") if r.get("fault") == "error_text"}
        for record in told.said:
            found = error_in(str(record.get("text", "")))
            if wrong is None and found is not None and record.get("turn") not in own:
                wrong = (told, record, found)
    if wrong is not None:
        told, record, found = wrong
        bench.add(
            "error_text", "fail", f"it says {found!r} as if that were its reply; raise instead,"
            " or declare a signal", told, address(record),
        )  # fmt: skip
    elif any(told.said for told in told_by):
        bench.add("error_text", "pass", "no reply looks like an error message")
    else:
        bench.add("error_text", "n/a", "it has said nothing")
    _output(bench)
    _breakpoint(bench)


def _output(bench: Bench) -> None:
    for told in bench.report.told:
        for record in told.of("provider.output"):
            text = str(record.get("text", "")).strip()
            if text and "breakpoint() at " not in text:
                bench.add(
                    "output", "warn", f"it prints: {text[:200]!r}", told, address(record),
                    detail=text.splitlines()[:5],
                )  # fmt: skip
                return
    bench.add("output", "pass", "it prints nothing")


def _breakpoint(bench: Bench) -> None:
    for told in bench.report.told:
        warned = [r for r in told.of("warning") if r.get("code") == "breakpoint"]
        printed = [r for r in told.of("provider.output") if "breakpoint() at " in str(r["text"])]
        for record in (*warned, *printed):
            says = str(record.get("message") or record.get("text")).strip()
            bench.add("breakpoint", "fail", says.partition(" was passed over")[0] + " is left in"
                      " the code", told, address(record))  # fmt: skip
            return
    bench.add("breakpoint", "pass", "no breakpoint() was met")
