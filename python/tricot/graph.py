"""Building graphs op by op.

    >>> import tricot.graph
    >>> g = tricot.graph.Graph("layer")
    >>> x = g.input("x", "f32", ["rows", 64])
    >>> w = g.input("w", "f32", [64, 32])
    >>> y = g.map("relu", tricot.graph.einsum(g, "ri,io->ro", x, w))
    >>> g.output("y", y * 2.0)
    >>> module = tricot.compile(g)

Sizes are integers or text over symbols (``"2*rows + 1"``); a symbol that was not declared with ``Graph.symbol`` may take any size.
Results' types are inferred, so a mistake raises where it is made. ``docs/reference/ops.md`` lists all ops.
"""

from __future__ import annotations

from ._native import Graph, Value

__all__ = ["Graph", "Value", "cast", "einsum", "reshape", "transpose"]


def einsum(graph: Graph, spec: str, *operands: Value, dtype: str | None = None) -> Value:
    """``core.contract``: an Einstein sum such as ``"bij,bjk->bik"``; the result has the first operand's dtype unless told."""
    return graph.op("core.contract", *operands, spec=spec, dtype=dtype or operands[0].dtype)


def reshape(graph: Graph, value: Value, shape: list[int | str]) -> Value:
    """``core.reshape``: the same elements in row-major order under another shape."""
    return graph.op("core.reshape", value, shape=shape)


def transpose(graph: Graph, value: Value, perm: list[int]) -> Value:
    """``core.transpose``: result axis ``i`` is operand axis ``perm[i]``."""
    return graph.op("core.transpose", value, perm=perm)


def cast(graph: Graph, value: Value, to: str) -> Value:
    """``core.cast``: rounds to the element type ``to``."""
    return graph.op("core.cast", value, to=to)
