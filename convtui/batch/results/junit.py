"""The results of a batch as JUnit XML: a suite for each cell, a case for each conversation."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from convtui.analysis.report.junit import JUnitFile, add_properties, junit_text
from convtui.batch.results.conversation import Conversation
from convtui.batch.results.reading import Results
from convtui.transcript.fault_rules import RULES


def write_junit(results: Results, path: Path) -> None:
    """Writes JUnit XML; what has not ended, or was ended by a human, is skipped.

    Attempts at a run are one case, with the outcome of the best. Raises `FileError` when the file
    cannot be written.
    """
    file = JUnitFile(f"convtui batch {results.batch.name}")
    suites: dict[str, ET.Element] = {}
    best = results.best()
    for conversation, run in zip(best, results.runs, strict=True):
        cell = conversation.cell
        if cell not in suites:
            suites[cell] = file.suite(cell)
        _case(results, suites[cell], conversation, run)
    file.write(path)


def _case(
    results: Results, suite: ET.Element, best: Conversation, attempts: Sequence[Conversation]
) -> None:
    cell = results.batch.cells.get(best.cell)
    case = ET.SubElement(suite, "testcase", classname=junit_text(best.cell))
    case.set("name", junit_text(attempts[0].key))
    figures = best.figures
    if figures is not None and figures.seconds is not None:
        case.set("time", f"{figures.seconds:.3f}")
    add_properties(
        case,
        {
            "log": str(best.log) if best.log is not None else None,
            "persona": cell.persona if cell is not None else None,
            "provider": cell.provider if cell is not None else None,
            "ending": best.ending,
            "attempts": len(attempts) if len(attempts) > 1 else None,
            "reruns": best.reruns or None,
            "turns": figures and figures.turns,
            "discarded": figures and figures.discarded,
            "tokens": figures and figures.tokens,
            "cost": figures and figures.cost,
        },
    )
    message = junit_text(best.ending_words)
    if best.outcome in ("open", "interrupted"):
        ET.SubElement(case, "skipped", message=message)
    elif best.outcome == "bad":
        # A run that could not be held at all is an error, one that went wrong a failure.
        tag = "failure" if figures is not None and best.state != "crashed" else "error"
        node = ET.SubElement(case, tag, type=junit_text(best.ending), message=message)
        node.text = junit_text("\n".join(_details(best)))
    if len(attempts) > 1:
        lines = [f"attempt {each.attempt}: {each.ending_words}" for each in attempts]
        ET.SubElement(case, "system-out").text = junit_text("\n".join(lines))


def _details(conversation: Conversation) -> list[str]:
    lines = [conversation.ending_words]
    if conversation.problem:
        lines.append(conversation.problem)
    if conversation.figures is not None:
        for name, turns in conversation.figures.rules.most_common():
            side, _, rule = name.partition(" ")
            lines.append(f"{side}, {turns} x {rule}: {RULES.get(rule, '')}")
    if conversation.log is not None:
        lines.append(f"convtui replay {conversation.log}")
    return lines
