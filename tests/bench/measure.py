"""What a measurement is, and how a table of them is printed and kept."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(slots=True, frozen=True)
class Row:
    """One line of the table.

    `ratio` is `measured / reference`, both of this run. A `bar` is a limit on the `ratio`, on the
    `measured` value or on its `excess` over the reference; without one the row only informs.
    """

    what: str
    measured: float
    unit: str = "s"
    reference: float | None = None
    reference_is: str = ""
    bar: float | None = None
    bar_is: Literal["ratio", "measured", "excess", "at least"] = "measured"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the reference."""
        return self.measured / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without one."""
        if self.bar is None:
            return None
        if self.bar_is == "at least":
            return self.measured >= self.bar
        if self.bar_is == "ratio":
            return self.ratio is not None and self.ratio <= self.bar
        over = self.reference if self.bar_is == "excess" and self.reference else 0.0
        return self.measured - over <= self.bar

    def cells(self) -> tuple[str, ...]:
        """The row for people."""
        bar = ""
        if self.bar is not None:
            bar = {
                "ratio": f"{self.bar:g}x",
                "measured": quantity(self.bar, self.unit),
                "excess": f"+{quantity(self.bar, self.unit)}",
                "at least": f">= {quantity(self.bar, self.unit)}",
            }[self.bar_is]
        reference = ""
        if self.reference is not None:
            reference = f"{quantity(self.reference, self.unit)} {self.reference_is}".rstrip()
        return (
            self.what,
            quantity(self.measured, self.unit),
            reference,
            f"{self.ratio:.2f}x" if self.ratio is not None else "",
            bar,
            {None: "", True: "yes", False: "NO"}[self.met],
            self.note,
        )


HEAD = ("what", "measured", "reference", "ratio", "bar", "met", "how")


def quantity(value: float, unit: str) -> str:
    """A value with its unit, for people."""
    if unit == "s" and abs(value) < 0.2:
        return f"{value * 1000:.3g} ms"
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def table(rows: Sequence[Row]) -> str:
    """All rows, in columns."""
    cells = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def write_json(
    rows: Sequence[Row], path: Path, *, seconds: float, worse: Sequence[str] = ()
) -> None:
    """The same for programs; `worse` are the rows that are, compared with an earlier run."""
    data = {
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
        "rows": [asdict(row) | {"ratio": row.ratio, "met": row.met} for row in rows],
        "worse": list(worse),
    }
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
