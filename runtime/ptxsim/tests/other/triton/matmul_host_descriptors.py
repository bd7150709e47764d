# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Matrix products whose operands and result go through tensor maps that the launcher encodes.

The loop is pipelined by the compiler: TMA loads into a ring of shared buffers, mbarriers, wgmma with both operands in
shared memory; the epilogue goes through stmatrix to shared memory and a TMA store.
"""

import triton
import triton.language as tl

from describe import Case, Kernel, Result, buffer, integers, output, uniform, zeros


@triton.jit
def matmul(a, b, c, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """c[M, N] = a[M, K] b[K, N]: the second operand has N contiguous (transposed for wgmma)."""
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    sums = tl.zeros([BM, BN], tl.float32)
    for k in range(0, depth, BK):
        sums = tl.dot(a.load([row, k]), b.load([k, column]), sums)
    c.store([row, column], sums.to(c.dtype))


@triton.jit
def matmul_bt(a, b, c, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """c[M, N] = a[M, K] b[N, K]^T: both operands have K contiguous."""
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    sums = tl.zeros([BM, BN], tl.float32)
    for k in range(0, depth, BK):
        sums = tl.dot(a.load([row, k]), b.load([column, k]).T, sums)
    c.store([row, column], sums.to(c.dtype))


@triton.jit
def matmul_i8(a, b, c, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """Integers: the sums are exact."""
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    sums = tl.zeros([BM, BN], tl.int32)
    for k in range(0, depth, BK):
        sums = tl.dot(a.load([row, k]), b.load([column, k]).T, sums, out_dtype=tl.int32)
    c.store([row, column], sums)


@triton.jit
def matmul_f16_sums(a, b, c, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """Sums in f16 throughout; c is transposed on its way out."""
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    sums = tl.zeros([BM, BN], tl.float16)
    for k in range(0, depth, BK):
        sums = tl.dot(a.load([row, k]), b.load([column, k]).T, sums, out_dtype=tl.float16)
    c.store([column, row], sums.T)


@triton.jit
def matmul_persistent(a, b, c, rows, columns, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """One program computes several tiles; the compiler may fetch the next tile while it stores this one."""
    across = tl.cdiv(columns, BN)
    for tile in tl.range(tl.program_id(0), tl.cdiv(rows, BM) * across, tl.num_programs(0), flatten=True):
        row = tile // across * BM
        column = tile % across * BN
        sums = tl.zeros([BM, BN], tl.float32)
        for k in range(0, depth, BK):
            sums = tl.dot(a.load([row, k]), b.load([column, k]).T, sums)
        c.store([row, column], sums.to(c.dtype))


@triton.jit
def matmul_specialized(a, b, c, rows, columns, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """One warp group loads, two multiply: each of them has half the rows of a tile. c is a plain pointer."""
    across = tl.cdiv(columns, BN)
    for tile in tl.range(tl.program_id(0), tl.cdiv(rows, BM) * across, tl.num_programs(0), warp_specialize=True):
        row = tile // across * BM
        column = tile % across * BN
        sums = tl.zeros([BM, BN], tl.float32)
        for k in range(0, depth, BK):
            sums = tl.dot(a.load([row, k]), b.load([column, k]).T, sums)
        c_row = row + tl.arange(0, BM)[:, None]
        c_column = column + tl.arange(0, BN)[None, :]
        inside = (c_row < rows) & (c_column < columns)
        tl.store(c + c_row * columns + c_column, sums.to(c.dtype.element_ty), mask=inside)


@triton.jit
def matmul_split(a, b, c, depth_per_part, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """Parts of the sum over K in different programs, added up in global memory by TMA reductions."""
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    first = tl.program_id(2) * depth_per_part
    sums = tl.zeros([BM, BN], tl.float32)
    for k in range(first, first + depth_per_part, BK):
        sums = tl.dot(a.load([row, k]), b.load([column, k]).T, sums)
    c.atomic_add([row, column], sums.to(c.dtype))


def case(name, dtypes, shape, tile, b_is_nk, programs=None, parts=None, data=uniform, transposed=False, abs=2e-3, rel=2e-3):
    (m, n, k), (bm, bn, bk) = shape, tile
    a, c = dtypes
    grid = (triton.cdiv(m, bm), triton.cdiv(n, bn), 1)
    args = {
        "a": buffer(a, [m, k], data(10)),
        "b": buffer(a, [n, k] if b_is_nk else [k, n], data(11)),
        "c": output(c, [n, m] if transposed else [m, n]) if parts is None else zeros(c, [m, n]),
    }
    if programs is not None:
        grid = (programs, 1, 1)
        args |= {"rows": m, "columns": n}
    if parts is None:
        args["depth"] = k
    else:
        grid = (grid[0], grid[1], parts)
        args["depth_per_part"] = triton.cdiv(triton.cdiv(k, parts), bk) * bk
    options = {"b_is_nk": b_is_nk} | ({"c_is_nm": True} if transposed else {})
    result = Result("matmul", {"a": "a", "b": "b"}, "c", options=options, abs=abs, rel=rel)
    return Case(name=name, grid=grid, args=args, result=result)


def bytes_of(seed):
    return integers(seed, -128, 256)


def kernel(file, fn, dtypes, tile, b_is_nk, cases, ints=("depth",), options=None, transposed=False, plain_c=False):
    (a, c), (bm, bn, bk) = dtypes, tile
    c_box = [bn, bm] if transposed else [bm, bn]
    return Kernel(
        file=file,
        fn=fn,
        signature={
            "a": f"desc:{a}[{bm}, {bk}]",
            "b": f"desc:{a}[{bn}, {bk}]" if b_is_nk else f"desc:{a}[{bk}, {bn}]",
            "c": f"*{c}" if plain_c else f"desc:{c}{c_box}",
            **{name: "i32" for name in ints},
        },
        constants={"BM": bm, "BN": bn, "BK": bk},
        options={"num_warps": 4, "num_stages": 3} | (options or {}),
        cases=cases,
        divisible=("c",) if plain_c else (),
        # Each of the two multiplying warp groups has its half of a tile loaded on its own.
        boxes={"a": [bm // 2, bk]} if fn is matmul_specialized else {},
        unstable=fn is matmul_specialized,
    )


TILES = ("rows", "columns", "depth")

KERNELS = [
    kernel(
        "matmul_f16", matmul, ("fp16", "fp16"), (128, 128, 64), False,
        [
            case("one_tile", ("f16", "f16"), (128, 128, 64), (128, 128, 64), False),
            case("ragged", ("f16", "f16"), (200, 264, 456), (128, 128, 64), False),
        ],
    ),
    kernel(
        "matmul_f16_two_warp_groups", matmul, ("fp16", "fp16"), (128, 256, 64), False,
        [case("ragged", ("f16", "f16"), (136, 264, 328), (128, 256, 64), False)],
        options={"num_warps": 8},
    ),
    kernel(
        "matmul_bf16_bt", matmul_bt, ("bf16", "bf16"), (64, 64, 32), True,
        [case("ragged", ("bf16", "bf16"), (100, 136, 200), (64, 64, 32), True, abs=1e-2, rel=8e-3)],
    ),
    kernel(
        "matmul_tf32", matmul_bt, ("fp32", "fp32"), (64, 64, 32), True,
        [case("ragged", ("f32", "f32"), (100, 76, 124), (64, 64, 32), True, abs=2e-2, rel=2e-3)],
    ),
    kernel(
        "matmul_e4m3", matmul_bt, ("fp8e4nv", "fp16"), (128, 64, 64), True,
        [case("ragged", ("e4m3", "f16"), (136, 88, 208), (128, 64, 64), True, abs=3e-2, rel=1e-2)],
    ),
    kernel(
        "matmul_i8", matmul_i8, ("i8", "i32"), (64, 128, 128), True,
        [case("ragged", ("i8", "i32"), (72, 132, 304), (64, 128, 128), True, data=bytes_of, abs=0.0, rel=0.0)],
    ),
    kernel(
        "matmul_f16_sums", matmul_f16_sums, ("fp16", "fp16"), (64, 64, 64), True,
        [case("ragged", ("f16", "f16"), (72, 100, 136), (64, 64, 64), True, transposed=True, abs=5e-2, rel=5e-3)],
        transposed=True,
    ),
    # A cluster of two blocks per program.
    kernel(
        "matmul_cluster", matmul_bt, ("fp16", "fp16"), (128, 128, 64), True,
        [case("ragged", ("f16", "f16"), (200, 136, 264), (128, 128, 64), True)],
        options={"num_ctas": 2},
    ),
    kernel(
        "matmul_persistent", matmul_persistent, ("fp16", "fp16"), (64, 128, 64), True,
        [case("ragged", ("f16", "f16"), (200, 392, 200), (64, 128, 64), True, programs=5)],
        ints=TILES,
    ),
    kernel(
        "matmul_specialized", matmul_specialized, ("fp16", "fp16"), (128, 128, 64), True,
        [case("ragged", ("f16", "f16"), (264, 392, 392), (128, 128, 64), True, programs=3)],
        ints=TILES,
        plain_c=True,
    ),
    kernel(
        "matmul_split", matmul_split, ("fp16", "fp32"), (64, 64, 64), True,
        [case("ragged", ("f16", "f32"), (72, 100, 392), (64, 64, 64), True, parts=3)],
        ints=("depth_per_part",),
    ),
]
