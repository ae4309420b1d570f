"""A rehook as JUnit XML, for CI."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from convtui.analysis.rehook.changed import Changed
from convtui.analysis.rehook.report import RehookReport
from convtui.analysis.report.junit import JUnitFile, add_properties, junit_text


def write_junit(report: RehookReport, path: Path) -> None:
    """Writes JUnit XML: a suite per log, a case per reply.

    Raises `FileError` when the file cannot be written.
    """
    file = JUnitFile("convtui rehook")
    for log, outcome in report.logs():
        _add_cases(report, file.suite(log.name), log, outcome)
    if report.result.stopped:
        case = ET.SubElement(file.suite("rehook"), "testcase", name="all logs")
        ET.SubElement(case, "error", message=junit_text(report.result.stopped))
    file.write(path)


def _add_cases(report: RehookReport, suite: ET.Element, log: Path, outcome: dict[str, Any]) -> None:
    name = junit_text(log.name)
    if "error" in outcome:
        case = ET.SubElement(suite, "testcase", classname=name, name="log")
        ET.SubElement(case, "error", message=junit_text(str(outcome["error"])))
        return
    changes = {(c.session, c.turn, c.attempt): c for c in report.changes if c.log == log}
    incomplete = {tuple(row[:3]): str(row[3]) for row in outcome["incomplete"]}
    for session, turn, attempt in outcome["turns"]:
        case = ET.SubElement(suite, "testcase", classname=name)
        add_properties(case, {"incomplete": incomplete.get((session, turn, attempt))})
        change = changes.get((session, turn, attempt))
        if change is None:
            case.set("name", f"{session}:{turn}" + (f" attempt {attempt}" * (attempt > 1)))
            continue
        case.set("name", change.address)
        kind = "error" if "error" in change.kinds else "failure"
        node = ET.SubElement(case, kind, type=",".join(change.kinds))
        message = "; ".join(change.words())
        node.set("message", junit_text(message + " (counterfactual)" * change.counterfactual))
        node.text = junit_text("\n".join(_details(change)))


def _details(change: Changed) -> list[str]:
    """The lines below the message: the developer's frames, or the old and the new text."""
    if change.error is not None:
        return [str(frame) for frame in change.error.get("frames", ())]
    if change.before is None or change.after is None or "text" not in change.kinds:
        return []
    return [f"- {change.before['text']}", f"+ {change.after['text']}"]
