"""The environment of a worker on another machine: what its node needs to run it, and named keys.

What the driver has in its own environment never travels, but for the variables that are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from convtui.errors import UsageError, did_you_mean
from convtui.files.env import read_env_file

_OF_THE_NODE: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP"
    r"|PYTHON\w+|VIRTUAL_ENV|CONDA_PREFIX|LD_LIBRARY_PATH|DYLD_\w+"
    r"|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NO_PROXY|no_proxy"
    r"|CUDA_VISIBLE_DEVICES|XDG_\w+|CONVTUI_\w+|LITELLM_LOCAL_MODEL_COST_MAP"
    r"|SYSTEMROOT|SYSTEMDRIVE|USERPROFILE|APPDATA|LOCALAPPDATA|PATHEXT|COMSPEC"
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def of_node(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker process needs of the environment of its node; no keys."""
    return {name: value for name, value in environment.items() if _OF_THE_NODE.fullmatch(name)}


def named_variables(
    names: Iterable[str], environment: Mapping[str, str], env_file: str | None = None
) -> dict[str, str]:
    """The variables that are named by `--env`, from the environment or from a file of them.

    The file comes first. Raises `UsageError` for a name that is in neither.
    """
    known = {**environment, **_in_file(env_file)}
    chosen: dict[str, str] = {}
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"--env {name}: write the name of an environment variable alone")
        if name not in known:
            where = " and not in the file of --env-file" if env_file else ""
            raise UsageError(
                f"--env {name}: it is not set in the environment{where}"
                f"{did_you_mean(name, list(known))}"
            )
        chosen[name] = known[name]
    return chosen


def _in_file(env_file: str | None) -> dict[str, str]:
    if not env_file:
        return {}
    return read_env_file(env_file)
