# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The launches of the CUDA C++ kernels: per source file, the entries and what each is called with."""

from describe import Case, CudaKernel, Result, buffer, integers, output, scalar, uniform, zeros


def u32(value):
    return scalar("u32", value)


def i32(value):
    return scalar("i32", value)


def total(name, dtype, n, blocks, data, abs, extra=None):
    args = {"x": buffer(dtype, [n], data), **(extra or {})}
    args["total"] = output(dtype, [1]) if extra else zeros(dtype, [1])
    args["n"] = u32(n)
    return Case(name, (blocks, 1, 1), args, Result("sum", {"x": "x"}, "total", abs=abs, rel=0.0))


def parts(blocks):
    return {"parts": output("f64", [blocks]), "finished": zeros("u32", [1])}


REDUCTION = [
    CudaKernel("sum_atomic", (256, 1, 1), [
        total("short", "f32", 5, 1, uniform(50), 1e-5),
        total("ragged", "f32", 5003, 7, uniform(50), 1e-3),
    ]),
    CudaKernel("sum_last_block", (128, 1, 1), [total("ragged", "f64", 4099, 9, uniform(51), 1e-10, parts(9))]),
    CudaKernel("sum_redux", (96, 1, 1), [total("ragged", "i32", 3001, 5, integers(52, -1000, 2001), 0.0)]),
    CudaKernel("sum_cluster", (128, 1, 1), [total("ragged", "f32", 3001, 6, uniform(53), 1e-3)], cluster=(2, 1, 1)),
]


def counts(name, dtype, n, blocks, data, bins, with_bins=True):
    args = {"x": buffer(dtype, [n], data), "counts": zeros("u32", [bins]), "n": u32(n)}
    if with_bins:
        args["bins"] = u32(bins)
    return Case(name, (blocks, 1, 1), args, Result("histogram", {"x": "x"}, "counts", abs=0.0, rel=0.0))


HISTOGRAM = [
    CudaKernel("histogram_global", (128, 1, 1), [
        counts("ragged", "i32", 3001, 5, integers(60, 0, 40), 40),
        # Values at both ends lie outside the bins and are printed instead of counted.
        counts("outside", "i32", 201, 2, integers(61, -1, 34), 32),
    ]),
    CudaKernel("histogram_shared", (128, 1, 1), [
        counts("few_bins", "u8", 3001, 3, integers(62, 0, 10), 10),
        counts("all_bytes", "u8", 5003, 4, integers(63, 0, 256), 256),
    ], dynamic_shared=1024),
    CudaKernel("histogram_matched", (64, 1, 1), [counts("ragged", "u16", 2003, 3, integers(64, 0, 50), 50, False)]),
]


def transposed(name, dtype, rows, columns, data):
    args = {
        "x": buffer(dtype, [rows, columns], data),
        "out": output(dtype, [columns, rows]),
        "rows": i32(rows),
        "columns": i32(columns),
    }
    grid = ((columns + 31) // 32, (rows + 31) // 32, 1)
    return Case(name, grid, args, Result("transpose", {"x": "x"}, "out", abs=0.0, rel=0.0))


# The entries are C++ templates; their names are mangled as both compilers do it.
TRANSPOSE = [
    CudaKernel("_Z9transposeIfLi0EEvPKT_PS0_ii", (32, 8, 1), [transposed("unpadded", "f32", 75, 101, uniform(70))]),
    CudaKernel("_Z9transposeIfLi1EEvPKT_PS0_ii", (32, 8, 1), [
        transposed("padded", "f32", 75, 101, uniform(71)),
        transposed("one_row", "f32", 1, 33, uniform(72)),
    ]),
    CudaKernel("_Z9transposeItLi2EEvPKT_PS0_ii", (32, 8, 1), [transposed("padded", "u16", 67, 40, integers(73, 0, 65536))]),
    CudaKernel("_Z9transposeIdLi1EEvPKT_PS0_ii", (32, 8, 1), [transposed("padded", "f64", 33, 70, uniform(74))]),
]


def added(name, n, blocks):
    args = {
        "a": buffer("f32", [n], uniform(80)),
        "b": buffer("f32", [n], uniform(81)),
        "out": output("f32", [n]),
        "n": u32(n),
    }
    return Case(name, (blocks, 1, 1), args, Result("add", {"a": "a", "b": "b"}, "out", abs=0.0, rel=6e-8))


# A tile is 512 elements; the ragged shapes make every block use both stages twice.
ASYNC_COPY = [
    CudaKernel("add_cp_async", (128, 1, 1), [added("short", 3, 1), added("ragged", 5003, 2)]),
    CudaKernel("add_mbarrier", (128, 1, 1), [added("short", 3, 1), added("ragged", 5003, 2)]),
    CudaKernel("add_bulk", (128, 1, 1), [added("short", 4, 1), added("ragged", 5004, 2)]),
]

SOURCES = {"reduction": REDUCTION, "histogram": HISTOGRAM, "transpose": TRANSPOSE, "async_copy": ASYNC_COPY}
