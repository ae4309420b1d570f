"""The results of a batch: reading its logs, and putting the report together."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

from convtui.batch.results.compare import compare_batches
from convtui.batch.results.reading import read_results
from convtui.batch.results.report import results_report
from tests.bench.measure import Row
from tests.builders.batches import BatchFolder, cell, talk
from tests.builders.logs import write_log

_RUNS = 4


def rows(home: Path, times: int, conversations: int = 1000, replies: int = 10) -> list[Row]:
    """A batch of a thousand conversations of twenty turns, and two of them side by side."""
    batches = [_batch(home / name, conversations, replies) for name in ("old", "new")]
    whole: list[float] = []
    inside: list[float] = []
    compared: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        results = read_results(batches[1])
        results_report(results)
        whole.append(time.perf_counter() - began)
        began = time.process_time()
        before = read_results(batches[0], processes=1)
        inside.append(time.process_time() - began)
        began = time.process_time()
        assert len(compare_batches(before, results).pairs) == conversations
        compared.append(time.process_time() - began)
    what = f"{conversations:,} logs of {2 * replies} turns"
    return [
        Row(
            f"results of a batch: {what}, report and all",
            median(whole),
            note=f"{os.cpu_count()} cores, median of {times}",
        ),
        Row(
            f"results of a batch: {what}, one core",
            median(inside),
            bar=3,
            note=f"CPU time, median of {times}",
        ),
        Row(
            f"two batches side by side: {conversations:,} pairs",
            median(compared),
            bar=1,
            note=f"CPU time, after reading, median of {times}",
        ),
    ]


def _batch(folder: Path, conversations: int, replies: int) -> Path:
    cells = [cell(f"p{number}") for number in range(conversations // _RUNS)]
    batch = BatchFolder(folder, cells, runs=_RUNS, name=folder.name)
    data = write_log(folder / "first.log", talk("completed", replies=replies)).read_bytes()
    for each in cells:
        for run in range(1, _RUNS + 1):
            key = f"{each['name']}.{run}"
            (folder / f"{key}.jsonl").write_bytes(data)
            batch.add("started", key=key, log=f"{key}.jsonl", worker=1)
            batch.add("ended", key=key, log=f"{key}.jsonl", termination={"kind": "completed"})
    batch.add("finished")
    return folder
