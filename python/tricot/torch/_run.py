"""Compiled graphs for torch tensors, kept by what they were compiled for. Knows no particular op."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import torch

from .. import _native
from .._compile import compile
from .._error import error

#: Compiled modules kept; the least recently used one goes first.
MAX_MODULES = 512

DTYPES = {
    torch.float64: "f64", torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16",
    torch.float8_e4m3fn: "f8e4m3", torch.float8_e5m2: "f8e5m2",
    torch.int64: "i64", torch.int32: "i32", torch.int16: "i16", torch.int8: "i8", torch.uint8: "u8", torch.bool: "bool",
}  # fmt: skip

_modules: OrderedDict[Hashable, _native.Module] = OrderedDict()
_lock = threading.Lock()


def dtype_name(dtype: torch.dtype) -> str:
    """Tricot's name of the element type; TC0803 for those it does not have."""
    if dtype not in DTYPES:
        raise error("TC0803", f"Tricot has no element type {dtype}")
    return DTYPES[dtype]


def target(device: torch.device) -> str:
    """The target whose code runs on the device; TC0842 for devices without one."""
    targets = {"cpu": "cpu", "cuda": "sm_90a"}
    if device.type not in targets:
        raise error("TC0842", f"there is no target for device {device}", "move the tensors to cpu or cuda")
    return targets[device.type]


def run(
    key: Hashable, build: Callable[..., None], *tensors: torch.Tensor
) -> torch.Tensor | tuple[torch.Tensor, ...]:
    """Runs the graph that ``build(graph, *inputs)`` makes for tensors of these shapes and dtypes.

    ``build`` declares the outputs; ``key`` names it together with everything it depends on beside the tensors. Sizes are compiled
    in: each new combination of shapes compiles once.
    """
    tensors = tuple(t.detach().contiguous() for t in tensors)
    device = tensors[0].device
    full = (key, target(device), *((t.dtype, t.shape) for t in tensors))
    with _lock:
        module = _modules.get(full)
        if module is not None:
            _modules.move_to_end(full)
    if module is None:
        graph = _native.Graph(str(key[0]) if isinstance(key, tuple) else str(key))
        inputs = [graph.input(f"x{i}", dtype_name(t.dtype), list(t.shape)) for i, t in enumerate(tensors)]
        build(graph, *inputs)
        module = compile(graph, target=target(device))
        with _lock:
            _modules[full] = module
            if len(_modules) > MAX_MODULES:
                _modules.popitem(last=False)
    return module(*tensors)
