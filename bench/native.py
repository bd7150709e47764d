"""Tricot in this process: a bundle on torch's memory and stream, through the five C functions of `bench/loader`.

The central type is `Bundle`. To run over another binding of the runtime, replace this file.
"""

import ctypes
import json
import os
from pathlib import Path

import torch

DTYPES = {
    "f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f8e4m3": torch.float8_e4m3fn,
    "f8e5m2": torch.float8_e5m2, "i64": torch.int64, "i32": torch.int32, "i8": torch.int8, "u8": torch.uint8, "bool": torch.bool,
}


def library_path():
    """`TRICOT_BENCH_LIBRARY`, or the file `make_bundles.py` puts beside the bundles."""
    return Path(os.environ.get("TRICOT_BENCH_LIBRARY", Path(__file__).parent / "bundles" / "libtricot_bench.so"))


def _library():
    lib = ctypes.CDLL(str(library_path()))
    text, handle = ctypes.c_char_p, ctypes.c_void_p
    lib.tricot_bench_error.restype = text
    lib.tricot_bench_load.restype, lib.tricot_bench_load.argtypes = handle, [text, text, text]
    lib.tricot_bench_describe.restype, lib.tricot_bench_describe.argtypes = text, [handle]
    lib.tricot_bench_run.argtypes = [handle, ctypes.POINTER(ctypes.c_uint64), ctypes.c_size_t, ctypes.c_uint64]
    lib.tricot_bench_free.restype, lib.tricot_bench_free.argtypes = None, [handle]
    return lib


class Bundle:
    """A trusted bundle on the device of `device` (a torch device)."""

    def __init__(self, path, device):
        self.handle, self.lib, self.device = None, _library(), torch.device(device)
        name = "cpu" if self.device.type == "cpu" else f"cuda:{self.device.index or 0}"
        self.handle = self.lib.tricot_bench_load(str(path).encode(), name.encode(), b"")
        if not self.handle:
            raise RuntimeError(self.lib.tricot_bench_error().decode())
        ports = json.loads(self.lib.tricot_bench_describe(self.handle))
        self.inputs, self.outputs = ports["inputs"], ports["outputs"]

    def new_outputs(self):
        return [torch.empty(p["shape"], dtype=DTYPES[p["dtype"]], device=self.device) for p in self.outputs]

    def run(self, inputs, outputs):
        """Queues one run on the current stream. Tensors in the order of the ports; shapes and types are checked here, addresses there."""
        tensors = [*inputs, *outputs]
        for port, tensor in zip([*self.inputs, *self.outputs], tensors, strict=True):
            if list(tensor.shape) != port["shape"] or tensor.dtype != DTYPES[port["dtype"]] or not tensor.is_contiguous():
                raise ValueError(f"`{port['name']}` must be a dense {port['dtype']}{port['shape']}, not {tensor.dtype}{list(tensor.shape)}")
        pointers = (ctypes.c_uint64 * len(tensors))(*[t.data_ptr() for t in tensors])
        stream = torch.cuda.current_stream(self.device).cuda_stream if self.device.type == "cuda" else 0
        if self.lib.tricot_bench_run(self.handle, pointers, len(tensors), stream):
            raise RuntimeError(self.lib.tricot_bench_error().decode())

    def close(self):
        if self.handle:
            self.lib.tricot_bench_free(self.handle)
            self.handle = None

    def __del__(self):
        self.close()
