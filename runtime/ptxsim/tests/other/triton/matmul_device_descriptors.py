# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A matrix product that makes its tensor maps on the device: zeroed memory, tensormap.replace, the tensormap proxy fence."""

import triton
import triton.language as tl

from describe import Case, Kernel, Result, buffer, output, uniform


@triton.jit
def matmul(a, b, c, rows, columns, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    a_map = tl.make_tensor_descriptor(a, [rows, depth], [depth, 1], [BM, BK])
    b_map = tl.make_tensor_descriptor(b, [columns, depth], [depth, 1], [BN, BK])
    c_map = tl.make_tensor_descriptor(c, [rows, columns], [columns, 1], [BM, BN])
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    sums = tl.zeros([BM, BN], tl.float32)
    for k in range(0, depth, BK):
        sums = tl.dot(a_map.load([row, k]), b_map.load([column, k]).T, sums)
    c_map.store([row, column], sums.to(c.dtype.element_ty))


@triton.jit
def matmul_groups(a, b, c, groups, rows, columns, depth, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """Independent products of one shape: the maps are made anew for every group inside the loop over groups."""
    row = tl.program_id(0) * BM
    column = tl.program_id(1) * BN
    for group in range(groups):
        a_map = tl.make_tensor_descriptor(a + group * rows * depth, [rows, depth], [depth, 1], [BM, BK])
        b_map = tl.make_tensor_descriptor(b + group * columns * depth, [columns, depth], [depth, 1], [BN, BK])
        c_map = tl.make_tensor_descriptor(c + group * rows * columns, [rows, columns], [columns, 1], [BM, BN])
        sums = tl.zeros([BM, BN], tl.float32)
        for k in range(0, depth, BK):
            sums = tl.dot(a_map.load([row, k]), b_map.load([column, k]).T, sums)
        c_map.store([row, column], sums.to(c.dtype.element_ty))


def case(name, shape, groups=None):
    m, n, k = shape
    lead = [] if groups is None else [groups]
    args = {
        "a": buffer("f16", lead + [m, k], uniform(20)),
        "b": buffer("f16", lead + [n, k], uniform(21)),
        "c": output("f16", lead + [m, n]),
        "rows": m,
        "columns": n,
        "depth": k,
    }
    if groups is not None:
        args["groups"] = groups
    result = Result("matmul", {"a": "a", "b": "b"}, "c", options={"b_is_nk": True}, abs=2e-3, rel=2e-3)
    return Case(name=name, grid=(triton.cdiv(m, 64), triton.cdiv(n, 128), 1), args=args, result=result)


POINTERS = {"a": "*fp16", "b": "*fp16", "c": "*fp16"}
SIZES = {"rows": "i32", "columns": "i32", "depth": "i32"}
TILE = {"BM": 64, "BN": 128, "BK": 64}
# The launcher calls an integer divisible when it is a multiple of 16; the shapes below are multiples of 8 only.

KERNELS = [
    Kernel(
        file="matmul_device_maps",
        fn=matmul,
        signature=POINTERS | SIZES,
        constants=TILE,
        options={"num_stages": 3},
        cases=[case("ragged", (136, 152, 264)), case("one_tile", (64, 128, 64))],
    ),
    Kernel(
        file="matmul_device_maps_groups",
        fn=matmul_groups,
        signature=POINTERS | {"groups": "i32"} | SIZES,
        constants=TILE,
        options={"num_stages": 3},
        cases=[case("ragged", (72, 136, 200), groups=3)],
    ),
]
