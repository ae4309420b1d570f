"""The developer's files that this process has imported: each once, whoever names it."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any


class ImportedFiles:
    """Modules by file, with the digest of what they were made of.

    Only in a process that `keep()`s them: elsewhere a file is imported anew by each conversation.
    """

    def __init__(self) -> None:
        self._modules: dict[Path, ModuleType] = {}
        self._digests: dict[Path, str] = {}
        self._pristine: dict[tuple[str, str], Any] = {}
        self._used: set[tuple[Path, str]] = set()
        self._keeps = False

    def keep(self) -> None:
        """From now on files are imported once, and count as they were then."""
        self._keeps = True

    def module(self, path: Path) -> ModuleType | None:
        """The module of a file; None where it has to be imported."""
        return self._modules.get(path)

    def importing(self, path: Path) -> None:
        """Notes what a file is made of, before it is imported."""
        if self._keeps:
            self.digest(path)

    def imported(self, path: Path, module: ModuleType) -> None:
        """Notes the module of a file."""
        if self._keeps:
            self._modules[path] = module

    def digest(self, file: Path) -> str | None:
        """SHA-256 of a file as it was when it was first asked for; None for one that is gone."""
        known = self._digests.get(file)
        if known is None:
            with contextlib.suppress(OSError):
                known = hashlib.sha256(file.read_bytes()).hexdigest()
                if self._keeps:
                    self._digests[file] = known
        return known

    def is_taken(self, thing: Any, path: Path, name: str) -> bool:
        """Whether a thing of a file is an object that another conversation has already."""
        if not (self._keeps and has_state(thing)):
            return False
        if (path, name) in self._used:
            return True
        self._used.add((path, name))
        return False

    def own(self, thing: Any, module: str, name: str) -> Any:
        """A thing of a module for one conversation alone, where it is an object with a state.

        Classes and functions are given as they are. Of objects each conversation but the first
        gets a copy of what they were at first; one that cannot be copied is given as it is.
        """
        if not (self._keeps and has_state(thing)):
            return thing
        key = (module, name)
        if key not in self._pristine:
            with contextlib.suppress(Exception):
                self._pristine[key] = copy.deepcopy(thing)
            return thing
        with contextlib.suppress(Exception):
            return copy.deepcopy(self._pristine[key])
        return thing


def has_state(thing: Any) -> bool:
    """Whether a thing is an object, or a method of one, and not a class or a plain function."""
    if inspect.isclass(thing) or inspect.isfunction(thing) or inspect.isbuiltin(thing):
        return False
    if inspect.ismethod(thing):
        return not inspect.isclass(thing.__self__)
    return True


FILES = ImportedFiles()
"""Those of this process."""
