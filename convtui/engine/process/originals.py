"""Snapshots the parts of Python that provider code may replace, before it is loaded.

Replacing them is allowed (gevent, nest_asyncio and test tools do). It is undone only when the
engine has broken, so that the log can be closed and the screen can name what was replaced.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import errno
import io
import json
import os
import re
import selectors
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any

from convtui.text.boundary import one_line
from convtui.text.causes import describe

_MODULES = (
    os, os.path, io, json, json.encoder, json.decoder, re, time, threading, signal, selectors,
    contextlib, asyncio, asyncio.base_events, asyncio.events, asyncio.futures, asyncio.locks,
    asyncio.tasks, asyncio.selector_events,
)  # fmt: skip
_RECURSION = 1000
_NAMED = 5


class Originals:
    """The functions of `builtins` and of the modules that the engine needs, and `sys.modules`."""

    def __init__(self) -> None:
        self._builtins = builtins.__dict__
        self._kept_builtins = dict(self._builtins)
        self._kept: list[tuple[ModuleType, dict[str, Any]]] = [
            (module, {name: value for name, value in vars(module).items() if callable(value)})
            for module in _MODULES
        ]
        self._classes: list[tuple[type, dict[str, Any]]] = [
            (value, _methods(value))
            for module, names in self._kept
            for value in names.values()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
        self._modules = dict(sys.modules)
        self._path, self._finders = list(sys.path), list(sys.meta_path)

    def restore(self) -> list[str]:
        """Restores everything; returns the names of what was replaced, such as `builtins.open`.

        No function of `builtins` is safe to call before the second statement is over.
        """
        replaced = self._builtins.copy()
        self._builtins.update(self._kept_builtins)
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION))
        names = _differing("builtins", replaced, self._kept_builtins)
        for module, kept in self._kept:
            names += _differing(module.__name__, vars(module), kept)
            vars(module).update(kept)
        for kind, methods in self._classes:
            changed = _differing(f"{kind.__module__}.{kind.__name__}", vars(kind), methods)
            for name in changed:
                attribute = name.rpartition(".")[2]
                with contextlib.suppress(AttributeError, TypeError):
                    setattr(kind, attribute, methods[attribute])
            names += changed
        if any(sys.modules.get(name) is not module for name, module in self._modules.items()):
            names.append("sys.modules")
            sys.modules.update(self._modules)
        sys.path.extend(entry for entry in self._path if entry not in sys.path)
        sys.meta_path.extend(finder for finder in self._finders if finder not in sys.meta_path)
        return list(dict.fromkeys(names))

    def explain_failure(self, error: BaseException) -> str:
        """Explains what broke the engine, after `restore()`."""
        replaced = self.restore()
        cause = one_line(describe(error), 300)
        if isinstance(error, OSError) and error.errno in (errno.EBADF, errno.EINVAL):
            return f"the engine broke ({cause}): provider code has closed its file descriptors"
        if replaced:
            more = f" and {len(replaced) - _NAMED} more" if len(replaced) > _NAMED else ""
            names = ", ".join(replaced[:_NAMED]) + more
            return f"the engine broke ({cause}): provider code has replaced {names}"
        if isinstance(error, RuntimeError) and "loop stopped" in cause:
            return f"the engine broke ({cause}): provider code has stopped its event loop"
        return f"internal error: {cause}"


def _methods(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if isinstance(value, FunctionType)}


def _differing(of: str, now: Mapping[str, Any], kept: Mapping[str, Any]) -> list[str]:
    return [f"{of}.{name}" for name, value in kept.items() if now.get(name) is not value]
