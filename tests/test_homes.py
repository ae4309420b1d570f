"""A name has one home: packages do not hand on what their modules define."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import convtui
from tests.places import ROOT

PACKAGES = sorted((ROOT / "convtui").rglob("__init__.py"))
INTERFACE = ROOT / "convtui" / "__init__.py"
"""The one exception: the Python interface, imported lazily."""


def handed_on(source: str) -> list[str]:
    """What a package's `__init__` offers without defining it.

    A name that it also uses itself is none: mypy refuses to import that from elsewhere.
    """
    tree = ast.parse(source)
    imported = {
        (alias.asname or alias.name).partition(".")[0]: alias
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and node.col_offset == 0
        for alias in node.names
    }
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names = [
        name
        for name, alias in imported.items()
        if name != "annotations" and (name not in used or alias.asname == alias.name)
    ]
    defined = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    } | {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return names + sorted(defined & {"__all__", "__getattr__"})


@pytest.mark.parametrize(
    "file", PACKAGES, ids=lambda file: str(file.parent.relative_to(ROOT / "convtui"))
)
def test_no_package_hands_on_a_name_of_another_module(file: Path) -> None:
    if file != INTERFACE:
        assert handed_on(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from convtui.text.boundary import visible\n",
        "from .boundary import visible as visible\nprint(visible)\n",
        "from convtui.text.boundary import *\n",
        "from convtui.text.boundary import visible\n__all__ = ['visible']\n",
        "def __getattr__(name):\n    return 1\n",
    ],
)
def test_ways_of_handing_on_are_seen(source: str) -> None:
    assert handed_on(source)


def test_what_is_only_used_is_not_handed_on() -> None:
    assert handed_on("import sys\nfrom convtui.errors import nearest\nprint(sys, nearest)\n") == []


@pytest.mark.parametrize("name", convtui.__all__)
def test_the_interface_names_the_home_of_each_name(name: str) -> None:
    home = convtui._HOMES[name]
    assert getattr(convtui, name) is getattr(import_module(home), name)
    assert getattr(convtui, name).__module__ == home
