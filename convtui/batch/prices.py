"""Prices of models, from the table that litellm brings along.

The table is read as a file: importing litellm takes seconds.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

_FILE: Final = "model_prices_and_context_window_backup.json"


class Price(NamedTuple):
    """US dollars for a token."""

    input: float
    output: float


def price_of(model: str) -> Price | None:
    """The price of a model by the name that litellm has for it; None where it is not known."""
    table = _table()
    for name in (model, model.partition("/")[2]):
        row = table.get(name)
        if isinstance(row, dict):
            into, out = (row.get(f"{way}_cost_per_token") for way in ("input", "output"))
            if isinstance(into, (int, float)) and isinstance(out, (int, float)):
                return Price(float(into), float(out))
    return None


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    try:
        data = json.loads((Path(spec.origin).parent / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
