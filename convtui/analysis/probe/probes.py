"""Runs the probes of a bring-up report, one after the other.

Every probe is a conversation in its own engine process, with a log; some inspect what the others
have recorded. The provider gets no messages other than those of the probes.
"""

from __future__ import annotations

from typing import Any, Final

from convtui.analysis.probe import calls, conversations, hooks, network
from convtui.analysis.probe.conversation import ProbeRun, address
from convtui.analysis.probe.report import PROBES, ProbeReport, ProbeSession
from convtui.text_checks.error_texts import error_in

_PLAIN: Final = ("setup", "hook_order", "reply", "reset", "tool_call", "timeout", "error_text",
                 "output", "breakpoint")  # fmt: skip


async def make_probes(session: ProbeSession) -> ProbeReport:
    """Runs the wanted probes and returns their findings.

    Raises `EngineError` when the SPEC names nothing; a provider that exists but cannot be imported
    is a finding.
    """
    report = session.report
    if not await conversations.load(session):
        return report
    # Later probes need what the first conversation records.
    up = not session.wants(*_PLAIN) or await conversations.plain(session)
    if up:
        await conversations.messages(session)
        await conversations.tool_call(session)
        await conversations.two_at_once(session)
        await calls.cancel(session)
        await calls.timeout(session)
        await calls.failed_call(session)
        await hooks.odd(session)
        await hooks.same(session)
        await network.network(session)
    else:
        tried = {finding.probe for finding in report.findings}
        for name in PROBES:
            if name not in tried and name not in ("error_text", "output", "breakpoint"):
                session.add(name, "n/a", "not tried: it does not come up")
    everywhere(session)
    return report


def everywhere(session: ProbeSession) -> None:
    """Searches the records of all runs for error texts, output and breakpoints."""
    runs = session.report.runs
    wrong: tuple[ProbeRun, dict[str, Any], str] | None = None
    for run in runs:
        # A text that a probe injected is not the provider's.
        injected = {
            r.get("turn") for r in run.of("debug.injected") if r.get("fault") == "error_text"
        }
        for record in run.replies:
            error = error_in(str(record.get("text", "")))
            if wrong is None and error is not None and record.get("turn") not in injected:
                wrong = (run, record, error)
    if wrong is not None:
        run, record, error = wrong
        session.add(
            "error_text", "fail", f"it says {error!r} as if that were its reply; raise instead,"
            " or declare a signal", run, address(record),
        )  # fmt: skip
    elif any(run.replies for run in runs):
        session.add("error_text", "pass", "no reply looks like an error message")
    else:
        session.add("error_text", "n/a", "it has said nothing")
    _output(session)
    _breakpoint(session)


def _output(session: ProbeSession) -> None:
    for run in session.report.runs:
        for record in run.of("provider.output"):
            text = str(record.get("text", "")).strip()
            if text and "breakpoint() at " not in text:
                session.add(
                    "output", "warn", f"it prints: {text[:200]!r}", run, address(record),
                    detail=text.splitlines()[:5],
                )  # fmt: skip
                return
    session.add("output", "pass", "it prints nothing")


def _breakpoint(session: ProbeSession) -> None:
    for run in session.report.runs:
        warned = [r for r in run.of("warning") if r.get("code") == "breakpoint"]
        printed = [r for r in run.of("provider.output") if "breakpoint() at " in str(r["text"])]
        for record in (*warned, *printed):
            says = str(record.get("message") or record.get("text")).strip()
            session.add("breakpoint", "fail", says.partition(" was passed over")[0] + " is left in"
                      " the code", run, address(record))  # fmt: skip
            return
    session.add("breakpoint", "pass", "no breakpoint() was met")
