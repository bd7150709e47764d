"""Everything public says what it is, and the stubs name what exists."""

import ast
import inspect
import pathlib

import tricot


def test_everything_public_has_a_docstring():
    for name in tricot.__all__:
        thing = getattr(tricot, name)
        if name == "__version__":
            continue
        assert inspect.getdoc(thing), name
        if isinstance(thing, type):
            members = {m: v for m, v in vars(thing).items() if not m.startswith("_")}
            assert all(inspect.getdoc(v) for v in members.values() if callable(v) or hasattr(v, "__get__")), name


def test_stubs_agree_with_the_extension():
    tree = ast.parse(pathlib.Path(tricot.__file__).with_name("_native.pyi").read_text())
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for name, node in classes.items():
        stub = {f.name for f in node.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")}
        real = {m for m in vars(getattr(tricot._native, name)) if not m.startswith("_")}
        assert stub == real, name
