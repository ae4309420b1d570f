"""The spellings of a known secret in a text: plain, escaped or encoded."""

from __future__ import annotations

import base64
import html
import json
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 8
"""Length of the shortest secret that is searched for as a substring."""
_SHORTEST_CORE: Final = 8


def forms_of(secret: str) -> tuple[str, ...]:
    """The spellings of `secret` as plain text, JSON, Python, HTML, URL and base64, longest first.

    Base64 depends on how many bytes come before the secret: for each of the three alignments, only
    the characters are given that the secret alone determines.
    """
    escaped = json.dumps(secret)[1:-1]
    raw = json.dumps(secret, ensure_ascii=False)[1:-1]
    forms = {
        secret,
        escaped,
        raw,
        json.dumps(escaped)[1:-1],
        json.dumps(raw, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        html.escape(secret),
    }
    data = secret.encode("utf-8", "surrogatepass")
    for safe in ("", "/"):
        percent = quote(data, safe=safe)
        forms |= {percent, _lower_hex(percent)}
    plus = quote_plus(data)
    forms |= {plus, _lower_hex(plus)}
    forms |= _base64_cores(data)
    return tuple(sorted((form for form in forms if form), key=len, reverse=True))


def _lower_hex(percent: str) -> str:
    parts = percent.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def _base64_cores(data: bytes) -> set[str]:
    cores = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data).decode()
        first = -(-shift * 8 // 6)
        last = (shift + len(data)) * 8 // 6
        core = encoded[first:last]
        if len(core) >= _SHORTEST_CORE:
            cores |= {core, core.translate(_URL_SAFE), core.replace("/", "\\/")}
    return cores


_URL_SAFE: Final = str.maketrans("+/", "-_")
