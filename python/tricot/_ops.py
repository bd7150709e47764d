"""Ops of the user's own: declared as text, or traced from a Python function, with kernels where there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import _native

def register_op(declarations: str) -> list[str]:
    """Registers ops for graphs, graph text and ONNX models read from now on.

    Args:
        declarations: one or more ``op @dialect.name(%x: T[rows, cols], $alpha: float = 1.0) { ... }`` in graph text; each may use
            those before it. ``docs/howto/custom-op.md`` describes the form.

    Returns:
        The names. A name registered again means something else from now on; compiled modules and graphs that use it keep what
        they have.

    Raises:
        tricot.Error: TC0121 for a name that cannot be had, TC0122 for a body and TC0123 for a kernel that cannot be, and what any
            graph text may raise.
    """
    return _native.register(declarations)


def define_op(
    name: str,
    body: Callable[..., Any],
    operands: Mapping[str, str],
    *,
    kernels: Sequence[str] = (),
) -> str:
    """Registers an op whose meaning a Python function builds.

    Args:
        name: ``dialect.name``; the dialect is not one of Tricot's.
        body: called once with a :class:`tricot.Graph` and a value for each operand; returns the result, or a dictionary of results.
        operands: their types by name, such as ``{"x": "f32[rows, cols]"}``. Symbols are sizes that each call brings.
        kernels: made by :func:`kernel`.

    Returns:
        The declaration, which graph text may hold.

        >>> def gate(g, x):
        ...     return x * g.map("sigmoid", x)
        >>> text = tricot.define_op("mylib.gate", gate, {"x": "f32[rows, cols]"})
    """
    graph = _native.Graph("body")
    values = [graph.input(operand, *_type(operand, text)) for operand, text in operands.items()]
    results = body(graph, *values)
    for result, value in (results if isinstance(results, Mapping) else {"y": results}).items():
        graph.output(result, value)
    function = graph.text().partition("func @main")[2]
    declaration = " ".join([f"op @{name}{function.rstrip()}", *kernels])
    register_op(declaration)
    return declaration


def _type(operand: str, text: str) -> tuple[str, list[int | str]]:
    dtype, bracket, rest = text.strip().partition("[")
    if not bracket or not rest.endswith("]"):
        raise ValueError(f"operand {operand!r} is {text!r}; write a type such as \"f32[rows, 64]\"")
    sizes = [size.strip() for size in rest[:-1].split(",") if size.strip()]
    return dtype.strip(), [int(size) if size.isdigit() else size for size in sizes]


def kernel(
    entry: str,
    *,
    grid: Sequence[int | str],
    block: Sequence[int],
    arguments: Sequence[str],
    ptx: str | None = None,
    cubin: bytes | None = None,
    cluster: Sequence[int] = (1, 1, 1),
    shared: int = 0,
    types: Mapping[str, str] | None = None,
    multiples: Mapping[str, int] | None = None,
    microseconds: float | None = None,
    always: bool = False,
) -> str:
    """A kernel for sm_90a, as it stands behind an op's body.

    Args:
        entry: the function's name in the code.
        grid: blocks along x, y and z, as sizes: ``["rows * cols ceildiv 256", 1, 1]``. Missing ones are 1, in ``block`` too.
        block: threads of a block.
        arguments: the function's parameters in order: ``"%x"`` for a pointer to an operand or result, ``"rows * cols: i32"`` for a
            size, ``"$alpha: f32"`` for an attribute.
        ptx, cubin: the code, one of the two. PTX is assembled when a model is compiled.
        cluster: blocks of a cluster.
        shared: bytes of dynamic shared memory.
        types: element types it is for, such as ``{"T": "f32"}``.
        multiples: sizes that must be known to be multiples, such as ``{"cols": 4}``.
        microseconds: what a launch takes, to be weighed against the body.
        always: take it wherever it fits.
    """
    if (ptx is None) == (cubin is None):
        raise ValueError("give the kernel's code as `ptx` or as `cubin`")

    def three(numbers: Sequence[int | str]) -> str:
        return ", ".join(str(n) for n in [*numbers, 1, 1, 1][:3])

    fields = [f'entry = "{entry}"', f"grid = [{three(grid)}]", f"block = [{three(block)}]", f"cluster = [{three(cluster)}]"]
    fields += [f"shared = {shared}", f"arguments = [{', '.join(arguments)}]"]
    if types:
        fields.append(f"types = [{', '.join(f'{n} = {t}' for n, t in types.items())}]")
    if multiples:
        fields.append(f"multiples = [{', '.join(f'{n} = {m}' for n, m in multiples.items())}]")
    if microseconds is not None:
        fields.append(f"microseconds = {float(microseconds)!r}")
    if always:
        fields.append("always = true")
    fields.append(f'ptx = """{ptx}"""' if ptx is not None else f'cubin = """{cubin.hex()}"""')
    return "kernel sm_90a {\n  " + ",\n  ".join(fields) + "\n}"
