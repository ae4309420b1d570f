"""Secrets that are planted at every place come out at none, with real processes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.planted.hunt import hunt
from tests.planted.values import Planted, searched, seen_as


@pytest.mark.slow
def test_no_secret_comes_out(tmp_path: Path) -> None:
    """A few of each kind; `make soak` plants them all."""
    found = hunt(tmp_path, many=False)
    assert found.leaks == []
    assert found.problems == []
    assert len(found.planted.by_place) > 80
    logs = [path for path in (tmp_path / "runs").glob("*.jsonl") if path.stat().st_size]
    assert sum(path.read_bytes().count(b"[redacted]") for path in logs) > 100


def test_what_comes_out_is_found() -> None:
    planted = Planted(1, many=True)
    odd = planted.opaque("odd", odd=True)
    plain = planted.opaque("plain")
    assert list(searched(json.dumps({"a": odd}).encode(), planted.by_place)) == ["odd"]
    for form in seen_as(odd):
        assert list(searched(b"x" + form + b"y", planted.by_place)) == ["odd"]
    assert list(searched(plain[:-3].encode(), planted.by_place)) == ["plain (its beginning)"]
    assert list(searched(b"nothing", planted.by_place)) == []
