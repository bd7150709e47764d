"""Types of the native half. Sizes (`Size`) are integers or text over symbols, such as "2*rows + 1"."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, overload

from ._module import Stages

Size = int | str
Shape = Sequence[Size]
DType = Literal[
    "f64", "f32", "f16", "bf16", "f8e4m3", "f8e5m2", "i64", "i32", "i16", "i8", "i4", "u64", "u32", "u16", "u8", "u4", "bool"
]
WholeStage = Literal["graph", "rewrite", "schedule", "plan"]
KernelStage = Literal["mlir", "llvm", "ptx", "sass"]

__version__: str

class Value:
    """A result of an op in a graph. `+ - * /` and negation work at every point, with numpy broadcasting; a number takes the
    value's dtype."""

    @property
    def dtype(self) -> DType:
        """The element type."""
    @property
    def shape(self) -> tuple[Size, ...]:
        """The sizes; those that depend on symbols as text."""
    def __add__(self, other: Value | float) -> Value: ...
    def __radd__(self, other: float) -> Value: ...
    def __sub__(self, other: Value | float) -> Value: ...
    def __rsub__(self, other: float) -> Value: ...
    def __mul__(self, other: Value | float) -> Value: ...
    def __rmul__(self, other: float) -> Value: ...
    def __truediv__(self, other: Value | float) -> Value: ...
    def __rtruediv__(self, other: float) -> Value: ...
    def __neg__(self) -> Value: ...

class Graph:
    """A graph of tensor ops, grown op by op. Every call checks its operands and infers its results, so a mistake raises
    `tricot.Error` (TC01xx) where it is made and leaves the graph as it was."""

    def __new__(cls, name: str = "graph") -> Graph: ...
    def symbol(
        self, name: str, min: int = 1, max: int | None = None, multiple: int = 1, hint: int | None = None
    ) -> str:
        """Declares a symbolic size and what is promised of it; `hint` is the size to optimise for. Returns the name."""
    def input(self, name: str, dtype: DType, shape: Shape) -> Value:
        """Adds an input. Symbols in `shape` that were not declared may take any size."""
    def constant(self, tensor: Any, name: str | None = None) -> Value:
        """A copy of a contiguous host tensor (anything with `__dlpack__`)."""
    def scalar(self, value: float, dtype: DType) -> Value:
        """A constant of rank 0, rounded to `dtype`."""
    def op(self, op: str, /, *operands: Value, **attributes: Any) -> Any:
        """Any op by name, such as `op("nn.softmax", x, axis=1)`: a value, or a tuple of values for several results.
        docs/reference/ops.md lists all ops with their attributes."""
    def map(self, function: str, *operands: Value) -> Value:
        """A scalar function (`"exp"`, `"relu"`, `"max"`, …) at every point, after numpy broadcasting."""
    def broadcast_to(self, value: Value, shape: Shape) -> Value:
        """As numpy's function of this name."""
    def output(self, name: str, value: Value, alias: str | None = None) -> None:
        """Declares an output. `alias` names the input whose memory it may take over."""
    def gradient(self, seeds: Sequence[tuple[Value, Value]], wrt: Sequence[Value]) -> list[Value | None]:
        """The gradient of `sum(seed * value)` over the pairs `(value, seed)` with respect to the values `wrt`; None where
        nothing flows. TC0117 for an op without a gradient."""
    def text(self) -> str:
        """The graph text, which `tricot.compile` reads back."""
    @staticmethod
    def from_path(
        path: str | os.PathLike[str],
        weights: Sequence[str | os.PathLike[str]] = ...,
        symbols: Mapping[str, int] = ...,
    ) -> Graph:
        """Reads `*.onnx` or graph text."""
    @staticmethod
    def from_onnx(model: bytes, name: str = "<memory>", symbols: Mapping[str, int] = ...) -> Graph:
        """Reads a serialised ONNX model."""
    @staticmethod
    def from_text(text: str, name: str = "<text>", symbols: Mapping[str, int] = ...) -> Graph:
        """Reads graph text."""
    def compile(
        self,
        targets: list[str],
        max_rel_err: float,
        winograd: str,
        buckets: list[dict[str, int]],
        native_cpu: bool,
        sm90_program: os.PathLike[str] | None,
        ptxas: str | None,
    ) -> Module:
        """Behind `tricot.compile`, which has the defaults."""

class Module:
    """A compiled model. Safe to call from several threads."""

    def __call__(
        self, *inputs: Any, out: Any = None, stream: int | None = None, symbols: Mapping[str, int] = ..., **named: Any
    ) -> Any:
        """Runs the model on DLPack tensors (NumPy, torch, CuPy, JAX), without copies.

        Inputs come in the model's order or by name; `input_names` lists them, `inspect()` their dtypes and shapes. They must be
        contiguous, of the declared dtype, and all on one device, which is where the model runs. The result is one tensor, or a
        tuple if the model has several outputs, of the first input's library.

        Args:
            out: tensor, or list or tuple of tensors, to write the outputs into; it is then what is returned.
            stream: the CUstream to queue the work on, together with ``out``; by default the current stream of the first input's
                library. On a CUDA device the call returns when the work is queued. A captured call uses the module's memory: warm
                up on the stream that is captured, and keep the module as long as the captured graph.
            symbols: sizes that no input's shape determines.

        Raises:
            tricot.Error: TC0801 missing, TC0802 unknown input, TC0803 dtype, TC0804 shape, TC0806 a size that breaks a promise,
                TC0810 alignment or overlap, TC0840 no tensor, TC0841 not contiguous, TC0842 device, TC0843 read-only output,
                TC0844 outputs that the library cannot allocate.
        """
    @property
    def name(self) -> str: ...
    @property
    def is_compiled(self) -> bool:
        """Whether it was compiled in this process, not loaded from a bundle: only then it can explain itself."""
    @property
    def targets(self) -> list[str]: ...
    @property
    def input_names(self) -> list[str]: ...
    @property
    def output_names(self) -> list[str]: ...
    @property
    def stages(self) -> Stages:
        """Text of every stage: `module.stages["ptx"]`."""
    @overload
    def stage(self, name: WholeStage, target: str | None = None) -> str: ...
    @overload
    def stage(self, name: KernelStage, target: str | None = None) -> dict[str, str]: ...
    def explain(self, target: str | None = None, why_not: str | None = None) -> str:
        """The rewriting steps by name; or why the op `why_not` (`"trilinear.attention"`) is not in the result."""
    def inspect(self) -> dict[str, Any]:
        """Digest, inputs, outputs, symbols, targets and entries of the bundle."""
    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the `.tricot` bundle, all of it or nothing."""

def register(declarations: str, name: str = "<declaration>") -> list[str]:
    """See `tricot.register_op`."""

def address(tensor: Any) -> int:
    """Where a call reads or writes a tensor: the address of its first element, whose memory is used in place. `tensor` is anything with
    `__dlpack__`, or a capsule; TC0840 otherwise."""

def open(path: str | os.PathLike[str], digest: str | None = None) -> Module:
    """Behind `tricot.load`."""
