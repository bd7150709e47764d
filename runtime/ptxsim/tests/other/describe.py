# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a launch of one kernel is: the words that the kernel sources use and `regenerate.py` turns into JSON.

The format of the JSON is described in README.md. Nothing here knows a compiler.
"""

from dataclasses import dataclass, field


def uniform(seed, scale=1.0):
    """Multiples of scale/2^23 in [-scale, scale), then rounded to the element type; scale is a power of two."""
    return {"generator": "uniform", "seed": seed, "scale": scale}


def integers(seed, low, count):
    """Whole numbers in [low, low + count)."""
    return {"generator": "integers", "seed": seed, "low": low, "count": count}


def buffer(dtype, shape, data, strides=None):
    """Global memory that holds an array; strides are in elements and default to row-major."""
    described = {"kind": "buffer", "dtype": dtype, "shape": list(shape), "data": data}
    if strides is not None:
        described["strides"] = list(strides)
    return described


def output(dtype, shape, strides=None):
    """A buffer that the kernel writes and that starts uninitialised."""
    return buffer(dtype, shape, {"generator": "uninitialised"}, strides)


def zeros(dtype, shape):
    """A buffer that the kernel adds to."""
    return buffer(dtype, shape, {"generator": "zeros"})


def scalar(dtype, value):
    return {"kind": "scalar", "dtype": dtype, "value": value}


@dataclass
class Result:
    """The named reference formula, its operands (role: argument), the argument it predicts, and the tolerance."""

    formula: str
    inputs: dict
    output: str
    abs: float
    rel: float
    options: dict = field(default_factory=dict)

    def json(self):
        return {
            "formula": self.formula,
            "inputs": self.inputs,
            "output": self.output,
            "options": self.options,
            "abs": self.abs,
            "rel": self.rel,
        }


@dataclass
class Case:
    """One launch. A tensor descriptor argument is given as the buffer that it describes."""

    name: str
    grid: tuple
    args: dict
    result: Result


@dataclass
class Kernel:
    """One compiled Triton kernel: a PTX file. A descriptor argument has the signature `desc:DTYPE[BOX]`."""

    file: str
    fn: object
    signature: dict
    constants: dict
    cases: list
    options: dict = field(default_factory=dict)
    divisible: tuple = None
    boxes: dict = field(default_factory=dict)  # of maps whose box the compiler changes, but not in its metadata
    unstable: bool = False  # the compiler's output differs from run to run


@dataclass
class CudaKernel:
    """One entry of a CUDA C++ file. `args` of its cases are in the order of its parameters."""

    entry: str
    block: tuple
    cases: list
    dynamic_shared: int = 0
    cluster: tuple = (1, 1, 1)
