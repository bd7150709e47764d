"""What Tricot needs of the libraries whose tensors it is given: memory for outputs, and the current stream.

The native code asks once per type and sizes and keeps the answer. Knows no module and no graph.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Callable

_NUMPY = {
    "f64": "float64", "f32": "float32", "f16": "float16", "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8",
    "u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "bool": "bool",
}  # fmt: skip
_TORCH = {**_NUMPY, "bf16": "bfloat16", "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2"}

Wanted = list[tuple[str, tuple[int, ...]]]


def _library(kind: type | None) -> str:
    """The package of a tensor type, ``numpy`` where it has no allocator of its own."""
    if kind is None:
        return "numpy"
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        if package in ("torch", "cupy", "jax", "jaxlib"):
            return "jax" if package == "jaxlib" else package
    return "numpy"


def makers(kind: type | None, wanted: Wanted, ordinal: int | None) -> tuple[list[Callable[[], Any]], Any]:
    """Callables that allocate one output each, uninitialised, in the library of ``kind``; and what turns the result of
    a call into what its caller gets, or None.

    ``wanted`` lists dtype and shape; ``ordinal`` is the CUDA device, None for host memory.
    """
    library = _library(kind)
    if library == "torch":
        import torch

        device = torch.device("cpu" if ordinal is None else f"cuda:{ordinal}")
        return [partial(torch.empty, s, dtype=getattr(torch, _TORCH[d]), device=device) for d, s in wanted], None
    if ordinal is not None:
        import cupy

        def on_device(shape: tuple[int, ...], dtype: str) -> Any:
            with cupy.cuda.Device(ordinal):
                return cupy.empty(shape, dtype)

        each = [partial(on_device, s, _numpy_dtype(d)) for d, s in wanted]
    else:
        import numpy

        each = [partial(numpy.empty, s, numpy.dtype(_numpy_dtype(d))) for d, s in wanted]
    return each, _to_jax if library == "jax" else None


def _numpy_dtype(dtype: str) -> str:
    if dtype not in _NUMPY:
        raise TypeError(f"NumPy has no {dtype}; pass torch tensors")
    return _NUMPY[dtype]


def _to_jax(result: Any) -> Any:
    import jax.dlpack

    if isinstance(result, tuple):
        return tuple(jax.dlpack.from_dlpack(r) for r in result)
    return jax.dlpack.from_dlpack(result)


def current_stream(kind: type | None, ordinal: int) -> int:
    """The ``CUstream`` on which the library of ``kind`` queues work now; 0, the legacy default stream, where the library has
    no such notion."""
    library = _library(kind)
    if library == "torch":
        import torch

        return torch.cuda.current_stream(ordinal).cuda_stream
    if library == "cupy":
        import cupy

        with cupy.cuda.Device(ordinal):
            return cupy.cuda.get_current_stream().ptr
    return 0
