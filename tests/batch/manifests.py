"""Manifests for tests."""

from __future__ import annotations

from pathlib import Path

from convtui.batch.manifest import BatchCell
from convtui.batch.manifest_writer import ManifestWriter


def cells(*names: str) -> list[BatchCell]:
    """Cells of the demo provider, one for each name."""
    return [
        BatchCell(
            number, name, persona="demo", provider="demo", sessions=[], settings={}, digest=name
        )
        for number, name in enumerate(names, 1)
    ]


def begin(folder: Path, *names: str, runs: int = 1) -> ManifestWriter:
    """A manifest that has only its first line."""
    return ManifestWriter.create(
        folder,
        batch_id="b" * 32,
        name="refund",
        convtui="0.1.0",
        plan={"scenario": "refund.yaml"},
        digest="d",
        cells=cells(*names),
        runs=runs,
    )
