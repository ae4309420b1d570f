"""The result of mining as a report."""

from __future__ import annotations

from convtui.analysis.mining.mining import Mined
from convtui.analysis.report.report import Report, Section, Table, Verdict


def mined_report(mined: Mined, verdict: Verdict | None = None) -> Report:
    """The numbers of runs, calls and patterns, and the reasons why runs were left out."""
    gain = mined.mean_gain
    tools = ", ".join(f"{name} {number}" for name, number in mined.tools.most_common())
    rows = [
        ("runs", f"{mined.given}, {mined.scanned} looked at, {len(mined.used)} passed"),
        *(("  left out", f"{number}: {why}") for why, number in mined.left_out.most_common()),
        ("calls", tools or "none"),
        *(
            ("  no pattern", f"{number} of {name}: it failed too often")
            for name, number in mined.unreliable.most_common()
        ),
        ("patterns", f"{len(mined.patterns)}, of {mined.successful_calls} successful calls"),
    ]
    if gain is not None:
        rows.append(("mean gain", f"{gain:+.3f} (below 0 is an improvement)"))
    return Report([Section("", [Table((), rows)])], verdict=verdict)


def saved_verdict(name: str, path: str, why_not: str) -> Verdict:
    """Says where the template was saved, or, with an empty `path`, why it was not."""
    if path:
        return Verdict(f"saved as {name}: {path}", "good", sign="✓")
    return Verdict(f"nothing saved: {why_not}", "doubtful", sign="!")
