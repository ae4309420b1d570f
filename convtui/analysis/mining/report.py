"""What was mined, in words. Texts are exact: make them visible to draw."""

from __future__ import annotations

from convtui.analysis.mining.mining import Mined


def report_rows(found: Mined) -> list[tuple[str, str]]:
    """What was looked at, what passed, and why the rest was left out; a name and its words each."""
    gain = found.mean_gain
    tools = ", ".join(f"{name} {number}" for name, number in found.tools.most_common())
    return [
        ("runs", f"{found.given}, {found.scanned} looked at, {len(found.used)} passed"),
        *(("  left out", f"{number}: {why}") for why, number in found.left_out.most_common()),
        ("calls", tools or "none"),
        *(
            ("  no pattern", f"{number} of {name}: it failed too often")
            for name, number in found.unreliable.most_common()
        ),
        ("patterns", f"{len(found.patterns)}, of {found.found} successful calls"),
        ("mean gain", "unknown" if gain is None else f"{gain:+.3f} (below 0 is an improvement)"),
    ]
