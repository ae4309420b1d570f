"""JUnit XML, for CI: texts made visible, secrets redacted."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from convtui.files.replacing import replace_file
from convtui.secrets.redactor import Redactor
from convtui.text.boundary import visible

COUNTED: Final = ("tests", "failures", "errors", "skipped")
_TAGS: Final = {"failure": "failures", "error": "errors", "skipped": "skipped"}
_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot represent in any form."""


class JUnitFile:
    """Suites of cases; counts them when it is written."""

    def __init__(self, name: str) -> None:
        self._root = ET.Element("testsuites", name=junit_text(name))

    def suite(self, name: str) -> ET.Element:
        """A new suite."""
        return ET.SubElement(self._root, "testsuite", name=junit_text(name))

    def write(self, path: Path) -> None:
        """Raises `FileError` when the file cannot be written."""
        totals = dict.fromkeys(COUNTED, 0)
        for suite in self._root:
            for name, count in _counts(suite).items():
                suite.set(name, str(count))
                totals[name] += count
        for name, count in totals.items():
            self._root.set(name, str(count))
        text = ET.tostring(self._root, encoding="unicode")
        text = Redactor.of_process().text(text)
        replace_file(path, f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n")


def add_properties(case: ET.Element, properties: dict[str, object]) -> None:
    """Adds those properties of a case that are known: not None."""
    known = {name: value for name, value in properties.items() if value is not None}
    if known:
        element = ET.SubElement(case, "properties")
        for name, value in known.items():
            ET.SubElement(element, "property", name=name, value=junit_text(str(value)))


def junit_text(text: str) -> str:
    """The text with invisible and illegal characters made visible."""
    return _ILLEGAL.sub("\ufffd", visible(text))


def _counts(suite: ET.Element) -> dict[str, int]:
    counts = dict.fromkeys(COUNTED, 0)
    for case in suite.iter("testcase"):
        counts["tests"] += 1
        for child in case:
            if child.tag in _TAGS:
                counts[_TAGS[child.tag]] += 1
    return counts
