"""Has the workers of a batch run on the nodes of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from convtui.batch.cells import Cell
from convtui.batch.plan import Plan
from convtui.batch.ray.cluster import Cluster, require_ray
from convtui.batch.ray.environment import named_variables
from convtui.batch.ray.port import RayPort
from convtui.batch.ray.project import excludes_of, project_of
from convtui.client.port import WorkerPort


def ports_for(
    address: str,
    plan: Plan,
    cells: Sequence[Cell],
    folder: Path,
    *,
    env: Sequence[str] = (),
    env_file: str | None = None,
) -> Callable[[int], WorkerPort]:
    """Starts or finds a cluster (`ray`, `ray://HOST:PORT`); returns what makes ports to workers.

    `folder` is the batch's, `env` the names of the variables that workers get. The cluster that was
    started ends with this process. Blocking, seconds. Raises `UsageError` for what cannot be run
    there, and `EngineError` without a cluster.
    """
    require_ray()
    environment = named_variables(env, os.environ, env_file)
    scenarios = [cell.scenario for cell in cells if cell.scenario is not None]
    project = project_of(scenarios)
    cluster = Cluster.connect(
        address,
        project=project,
        excludes=[] if project is None else excludes_of(project, scenarios),
        environment=environment,
        workers=plan.workers or 1,
    )
    return lambda number: RayPort(cluster, folder)
