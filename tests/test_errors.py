"""The drawing of the exception tree is the tree."""

from __future__ import annotations

import re

from convtui import errors
from convtui.errors import ConvtuiError


def test_the_drawing_shows_every_error_below_its_base() -> None:
    drawn: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"([│├└─ ]*)([A-Z]\w+)(?:\s|$)", line)
        if match is None:
            continue
        depth, name = len(match[1]), match[2]
        while above and above[-1][0] >= depth:
            above.pop()
        if above:
            drawn[name] = above[-1][1]
        elif name != ConvtuiError.__name__:
            continue
        above.append((depth, name))
    known = {
        kind.__name__: kind.__bases__[0].__name__
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ConvtuiError) and kind is not ConvtuiError
    }
    assert drawn == known
