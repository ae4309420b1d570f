"""A rehook as JUnit XML, for CI."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, Final

from convtui.analysis.rehook.changed import Changed
from convtui.analysis.rehook.report import RehookReport
from convtui.errors import FileError
from convtui.text.boundary import visible

_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot represent in any form."""


def write_junit(report: RehookReport, path: Path) -> None:
    """Writes JUnit XML: a suite per log, a case per reply.

    Raises `FileError` when the file cannot be written.
    """
    root = ET.Element("testsuites", name="convtui rehook")
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for log, outcome in report.logs():
        suite = ET.SubElement(root, "testsuite", name=_clean(log.name))
        own = _suite(report, suite, log, outcome)
        for name, value in own.items():
            suite.set(name, str(value))
            totals[name] += value
    if report.result.stopped:
        case = ET.SubElement(ET.SubElement(root, "testsuite", name="rehook"), "testcase")
        case.set("name", "all logs")
        ET.SubElement(case, "error", message=_clean(report.result.stopped))
        totals["errors"] += 1
    for name, value in totals.items():
        root.set(name, str(value))
    try:
        with path.open("wb") as file:
            ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}") from error


def _suite(
    report: RehookReport, suite: ET.Element, log: Path, outcome: dict[str, Any]
) -> dict[str, int]:
    name = _clean(log.name)
    own = {"tests": 0, "failures": 0, "errors": 0}
    if "error" in outcome:
        case = ET.SubElement(suite, "testcase", classname=name, name="log")
        ET.SubElement(case, "error", message=_clean(str(outcome["error"])))
        return own | {"tests": 1, "errors": 1}
    changes = {(c.session, c.turn, c.attempt): c for c in report.changes if c.log == log}
    incomplete = {tuple(row[:3]): str(row[3]) for row in outcome["incomplete"]}
    for session, turn, attempt in outcome["turns"]:
        own["tests"] += 1
        case = ET.SubElement(suite, "testcase", classname=name)
        reason = incomplete.get((session, turn, attempt))
        if reason is not None:
            properties = ET.SubElement(case, "properties")
            ET.SubElement(properties, "property", name="incomplete", value=_clean(reason))
        change = changes.get((session, turn, attempt))
        if change is None:
            case.set("name", f"{session}:{turn}" + (f" attempt {attempt}" * (attempt > 1)))
            continue
        case.set("name", change.address)
        kind = "error" if "error" in change.kinds else "failure"
        own[f"{kind}s"] += 1
        node = ET.SubElement(case, kind, type=",".join(change.kinds))
        message = "; ".join(change.words())
        node.set("message", _clean(message + " (counterfactual)" * change.counterfactual))
        node.text = _clean("\n".join(_details(change)))
    return own


def _details(change: Changed) -> list[str]:
    """The lines below the message: the developer's frames, or the old and the new text."""
    if change.error is not None:
        return [str(frame) for frame in change.error.get("frames", ())]
    if change.before is None or change.after is None or "text" not in change.kinds:
        return []
    return [f"- {change.before['text']}", f"+ {change.after['text']}"]


def _clean(text: str) -> str:
    """The text with invisible and illegal characters made visible."""
    return _ILLEGAL.sub("\ufffd", visible(text))
