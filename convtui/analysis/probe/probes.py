"""Makes the probes of a bring-up report, one after the other.

Every probe is a conversation in an engine process of its own, with a log; some look at what the
others have recorded. Nothing is asked of a provider but what the probes say here.
"""

from __future__ import annotations

from typing import Any, Final

from convtui.analysis.probe import calls, conversations, hooks, network
from convtui.analysis.probe.conversation import ProbeRun, address
from convtui.analysis.probe.report import PROBES, ProbeReport, ProbeSession
from convtui.text_checks.error_texts import error_in

_PLAIN: Final = ("setup", "hook_order", "reply", "reset", "tool_call", "timeout", "error_text",
                 "output", "breakpoint")  # fmt: skip


async def make_probes(bench: ProbeSession) -> ProbeReport:
    """Makes the probes, one after the other.

    Raises `EngineError` when the SPEC names nothing that could be tried; a provider that is there
    and cannot be imported is a finding.
    """
    report = bench.report
    if not await conversations.load(bench):
        return report
    # What others have to know of it comes from the first conversation.
    up = not bench.wants(*_PLAIN) or await conversations.plain(bench)
    if up:
        await conversations.messages(bench)
        await conversations.tool_call(bench)
        await conversations.two_at_once(bench)
        await calls.cancel(bench)
        await calls.timeout(bench)
        await calls.failed_call(bench)
        await hooks.odd(bench)
        await hooks.same(bench)
        await network.network(bench)
    else:
        tried = {finding.probe for finding in report.findings}
        for name in PROBES:
            if name not in tried and name not in ("error_text", "output", "breakpoint"):
                bench.add(name, "n/a", "not tried: it does not come up")
    everywhere(bench)
    return report


def everywhere(bench: ProbeSession) -> None:
    """What is looked for in all that was recorded: error texts, output, breakpoints."""
    told_by = bench.report.told
    wrong: tuple[ProbeRun, dict[str, Any], str] | None = None
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


def _output(bench: ProbeSession) -> None:
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


def _breakpoint(bench: ProbeSession) -> None:
    for told in bench.report.told:
        warned = [r for r in told.of("warning") if r.get("code") == "breakpoint"]
        printed = [r for r in told.of("provider.output") if "breakpoint() at " in str(r["text"])]
        for record in (*warned, *printed):
            says = str(record.get("message") or record.get("text")).strip()
            bench.add("breakpoint", "fail", says.partition(" was passed over")[0] + " is left in"
                      " the code", told, address(record))  # fmt: skip
            return
    bench.add("breakpoint", "pass", "no breakpoint() was met")
