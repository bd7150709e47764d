"""Tricot: tensor graphs to NVIDIA Hopper and x86-64 code.

    >>> import numpy, tricot
    >>> module = tricot.compile("model.onnx", target="cpu")
    >>> y = module(numpy.ones((2, 64), "float32"))

See ``help(tricot.compile)``, ``help(tricot.load)``, ``help(tricot.Module)``. ``tricot.graph`` builds graphs; ``tricot.torch`` has
ops and a ``torch.compile`` backend.
"""

from . import graph
from ._compile import compile, load
from ._error import Diagnostic, Error
from ._module import Stages
from ._ops import define_op, kernel, register_op
from ._native import Graph, Module, Value, __version__, address

__all__ = [
    "Diagnostic", "Error", "Graph", "Module", "Stages", "Value", "__version__", "address", "compile", "define_op", "graph", "kernel",
    "load", "register_op",
]
