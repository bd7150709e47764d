"""cuBLASLt through its C interface, to time every algorithm its heuristics offer: torch takes only the first.

The central function is `plans`. Row-major products are handed over as their column-major transposes. Constants are those of cublasLt.h of
CUDA 13; each names its enumerator.
"""

import ctypes
import functools
from pathlib import Path

import torch

from measure import Missing

WORKSPACE = 64 << 20
HEURISTICS = 32
COMPUTE_32F = 68  # CUBLAS_COMPUTE_32F
TYPES = {torch.float32: 0, torch.float16: 2, torch.bfloat16: 14, torch.float8_e4m3fn: 28}  # CUDA_R_32F, 16F, 16BF, 8F_E4M3
TRANSA, TRANSB, A_SCALE_POINTER, B_SCALE_POINTER, FAST_ACCUM, A_SCALE_MODE, B_SCALE_MODE = 3, 4, 17, 18, 25, 31, 32  # CUBLASLT_MATMUL_DESC_*
OUTER_VEC_32F = 3  # CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F
MAX_WORKSPACE_BYTES = 1  # CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES


class Heuristic(ctypes.Structure):
    """cublasLtMatmulHeuristicResult_t."""

    _fields_ = [
        ("algo", ctypes.c_uint64 * 8), ("workspace", ctypes.c_size_t), ("state", ctypes.c_int), ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    ]


@functools.cache
def library():
    folder = Path(torch.__file__).parent.parent / "nvidia"
    found = [*folder.glob("**/libcublasLt.so.1?"), "libcublasLt.so.13", "libcublasLt.so.12"]
    for path in found:
        try:
            lib = ctypes.CDLL(str(path))
        except OSError:
            continue
        lib.cublasLtGetVersion.restype = ctypes.c_size_t
        return lib
    raise Missing("libcublasLt was not found")


def version():
    n = library().cublasLtGetVersion()
    return f"cuBLASLt {n // 10000}.{n // 100 % 100}.{n % 100}"


def _check(status, what):
    if status:
        raise RuntimeError(f"{what}: cuBLAS status {status}")


@functools.cache
def _handle():
    handle = ctypes.c_void_p()
    _check(library().cublasLtCreate(ctypes.byref(handle)), "cublasLtCreate")
    return handle


@functools.cache
def _workspace():
    return torch.empty(WORKSPACE, dtype=torch.uint8, device="cuda")


class Plan:
    """One algorithm for one product; call it with operands of the same shapes."""

    def __init__(self, desc, layouts, result, config):
        self.desc, self.layouts, self.result, self.config = desc, layouts, result, config
        self.one, self.zero = ctypes.c_float(1.0), ctypes.c_float(0.0)

    def __call__(self, x, w, out, scale_x=None, scale_w=None):
        lib, pointer = library(), lambda t: ctypes.c_void_p(t.data_ptr())
        for attribute, scale in ((A_SCALE_POINTER, scale_w), (B_SCALE_POINTER, scale_x)):
            if scale is not None:
                _set(lib.cublasLtMatmulDescSetAttribute, self.desc, attribute, ctypes.c_void_p(scale.data_ptr()))
        a, b, d = self.layouts
        status = lib.cublasLtMatmul(
            _handle(), self.desc, ctypes.byref(self.one), pointer(w), a, pointer(x), b, ctypes.byref(self.zero), pointer(out), d,
            pointer(out), d, ctypes.byref(self.result.algo), pointer(_workspace()), ctypes.c_size_t(WORKSPACE),
            ctypes.c_void_p(torch.cuda.current_stream().cuda_stream),
        )
        _check(status, "cublasLtMatmul")
        return out


def _set(function, target, attribute, value):
    _check(function(target, ctypes.c_int(attribute), ctypes.byref(value), ctypes.c_size_t(ctypes.sizeof(value))), f"attribute {attribute}")


def _layout(tensor):
    layout = ctypes.c_void_p()
    rows, cols = tensor.shape
    create = library().cublasLtMatrixLayoutCreate
    _check(create(ctypes.byref(layout), TYPES[tensor.dtype], ctypes.c_uint64(cols), ctypes.c_uint64(rows), ctypes.c_int64(cols)), "layout")
    return layout


def plans(x, w, out, transpose_b, scales=None, fast=False):
    """Algorithms for out = x w (or x w^T), row-major; `scales`: those of the rows of 8-bit x and w."""
    lib, desc = library(), ctypes.c_void_p()
    _check(lib.cublasLtMatmulDescCreate(ctypes.byref(desc), COMPUTE_32F, TYPES[torch.float32]), "descriptor")
    put = functools.partial(_set, lib.cublasLtMatmulDescSetAttribute, desc)
    # Column-major, the product is out^T = w^T x^T: w comes first.
    put(TRANSA, ctypes.c_int(1 if transpose_b else 0))
    put(TRANSB, ctypes.c_int(0))
    if scales:
        put(A_SCALE_POINTER, ctypes.c_void_p(scales[1].data_ptr()))
        put(B_SCALE_POINTER, ctypes.c_void_p(scales[0].data_ptr()))
        put(A_SCALE_MODE, ctypes.c_int(OUTER_VEC_32F))
        put(B_SCALE_MODE, ctypes.c_int(OUTER_VEC_32F))
        put(FAST_ACCUM, ctypes.c_int8(int(fast)))
    layouts = [_layout(t) for t in (w, x, out)]
    preference = ctypes.c_void_p()
    _check(lib.cublasLtMatmulPreferenceCreate(ctypes.byref(preference)), "preference")
    _set(lib.cublasLtMatmulPreferenceSetAttribute, preference, MAX_WORKSPACE_BYTES, ctypes.c_uint64(WORKSPACE))
    results, count = (Heuristic * HEURISTICS)(), ctypes.c_int(0)
    a, b, d = layouts
    status = lib.cublasLtMatmulAlgoGetHeuristic(
        _handle(), desc, a, b, d, d, preference, HEURISTICS, results, ctypes.byref(count)
    )
    _check(status, "cublasLtMatmulAlgoGetHeuristic")
    good = [r for r in results[: count.value] if r.state == 0]
    return [Plan(desc, layouts, r, f"heuristic {i} of {count.value}, {r.workspace >> 20} MiB") for i, r in enumerate(good)]
