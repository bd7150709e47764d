# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products on plain pointers: masked loads become cp.async, the products wgmma.

`matmul` has both operands in shared memory. `matmul_dequantised` converts a weight matrix of 8-bit integers to f16 in
registers, and `matmul_scaled` multiplies the first operand by a vector in registers, so that wgmma takes it from there.
"""

import triton
import triton.language as tl

from describe import Case, Kernel, Result, buffer, integers, output, uniform


@triton.jit
def matmul(a, b, c, rows, columns, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    sums = tl.zeros([BM, BN], tl.float32)
    for k in range(0, depth, BK):
        left = tl.load(
            a + row[:, None] * depth + (k + inner)[None, :],
            mask=(row[:, None] < rows) & ((k + inner)[None, :] < depth),
            other=0.0,
        )
        right = tl.load(
            b + (k + inner)[:, None] * columns + column[None, :],
            mask=((k + inner)[:, None] < depth) & (column[None, :] < columns),
            other=0.0,
        )
        sums = tl.dot(left, right, sums)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    tl.store(c + row[:, None] * columns + column[None, :], sums.to(c.dtype.element_ty), mask=inside)


@triton.jit
def matmul_dequantised(a, scale, b, c, rows, columns, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """c = (scale[row] a) b with a of 8-bit integers; the scale is applied to the sums."""
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    sums = tl.zeros([BM, BN], tl.float32)
    for k in range(0, depth, BK):
        left = tl.load(
            a + row[:, None] * depth + (k + inner)[None, :],
            mask=(row[:, None] < rows) & ((k + inner)[None, :] < depth),
            other=0,
        )
        right = tl.load(
            b + (k + inner)[:, None] * columns + column[None, :],
            mask=((k + inner)[:, None] < depth) & (column[None, :] < columns),
            other=0.0,
        )
        sums = tl.dot(left.to(tl.float16), right, sums)
    factor = tl.load(scale + row, mask=row < rows, other=0.0)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    tl.store(c + row[:, None] * columns + column[None, :], (sums * factor[:, None]).to(c.dtype.element_ty), mask=inside)


@triton.jit
def matmul_scaled(a, scale, b, c, rows, columns, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """c = (scale[row] a) b with the scale applied to a in registers before the product."""
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    column = tl.program_id(1) * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    factor = tl.load(scale + row, mask=row < rows, other=0.0)
    sums = tl.zeros([BM, BN], tl.float32)
    for k in range(0, depth, BK):
        left = tl.load(
            a + row[:, None] * depth + (k + inner)[None, :],
            mask=(row[:, None] < rows) & ((k + inner)[None, :] < depth),
            other=0.0,
        )
        right = tl.load(
            b + (k + inner)[:, None] * columns + column[None, :],
            mask=((k + inner)[:, None] < depth) & (column[None, :] < columns),
            other=0.0,
        )
        sums = tl.dot((left * factor[:, None]).to(b.dtype.element_ty), right, sums)
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    tl.store(c + row[:, None] * columns + column[None, :], sums.to(c.dtype.element_ty), mask=inside)


def case(name, dtypes, shape, tile, scaled=False, abs=2e-3, rel=2e-3, data=None):
    (m, n, k), (a, b, c) = shape, dtypes
    args = {
        "a": buffer(a, [m, k], data or uniform(30)),
        "b": buffer(b, [k, n], uniform(31)),
        "c": output(c, [m, n]),
        "rows": m,
        "columns": n,
        "depth": k,
    }
    inputs = {"a": "a", "b": "b"}
    if scaled:
        args["scale"] = buffer("f32", [m], uniform(32))
        inputs["row_scale"] = "scale"
    result = Result("matmul", inputs, "c", options={"b_is_nk": False}, abs=abs, rel=rel)
    return Case(name=name, grid=(triton.cdiv(m, tile[0]), triton.cdiv(n, tile[1]), 1), args=args, result=result)


def constants(tile):
    return dict(zip(("BM", "BN", "BK"), tile))


SIZES = {"rows": "i32", "columns": "i32", "depth": "i32"}
# Sizes that are multiples of 16 let the compiler move 16 bytes with one cp.async.
ALIGNED = ("a", "b", "c", "columns", "depth")
SCALED = ALIGNED + ("scale",)

KERNELS = [
    Kernel(
        file="matmul_cp_async_bf16",
        fn=matmul,
        signature={"a": "*bf16", "b": "*bf16", "c": "*fp32"} | SIZES,
        constants=constants((64, 64, 32)),
        options={"num_stages": 3},
        divisible=ALIGNED,
        cases=[case("ragged", ("bf16", "bf16", "f32"), (100, 144, 208), (64, 64), abs=1e-4, rel=1e-4)],
    ),
    # Odd sizes: every element is loaded alone, narrower than cp.async can.
    Kernel(
        file="matmul_unaligned_f16",
        fn=matmul,
        signature={"a": "*fp16", "b": "*fp16", "c": "*fp32"} | SIZES,
        constants=constants((64, 64, 32)),
        options={"num_stages": 2},
        cases=[case("ragged", ("f16", "f16", "f32"), (67, 71, 101), (64, 64), abs=1e-4, rel=1e-4)],
    ),
    # Sixteen rows are too few for wgmma: the compiler falls back to ldmatrix and mma.sync.
    Kernel(
        file="matmul_mma_sync_f16",
        fn=matmul,
        signature={"a": "*fp16", "b": "*fp16", "c": "*fp32"} | SIZES,
        constants=constants((16, 64, 64)),
        options={"num_stages": 3},
        divisible=ALIGNED,
        cases=[case("ragged", ("f16", "f16", "f32"), (21, 144, 208), (16, 64), abs=1e-4, rel=1e-4)],
    ),
    Kernel(
        file="matmul_dequantised_i8",
        fn=matmul_dequantised,
        signature={"a": "*i8", "scale": "*fp32", "b": "*fp16", "c": "*fp16"} | SIZES,
        constants=constants((64, 64, 64)),
        options={"num_stages": 3},
        divisible=SCALED,
        cases=[
            case("ragged", ("i8", "f16", "f16"), (100, 144, 208), (64, 64), True, 2e-1, 2e-3, integers(30, -128, 256))
        ],
    ),
    Kernel(
        file="matmul_scaled_f16",
        fn=matmul_scaled,
        signature={"a": "*fp16", "scale": "*fp32", "b": "*fp16", "c": "*fp16"} | SIZES,
        constants=constants((128, 64, 64)),
        options={"num_stages": 3},
        divisible=SCALED,
        cases=[case("ragged", ("f16", "f16", "f16"), (200, 80, 272), (128, 64), True, 5e-3, 2e-3)],
    ),
]
