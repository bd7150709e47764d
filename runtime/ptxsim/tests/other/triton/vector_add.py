# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Elementwise addition: the smallest kernel that has a ragged tail."""

import triton
import triton.language as tl

from describe import Case, Kernel, Result, buffer, output, uniform


@triton.jit
def vector_add(x, y, out, n, TILE: tl.constexpr):
    at = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = at < n
    tl.store(out + at, tl.load(x + at, mask=inside) + tl.load(y + at, mask=inside), mask=inside)


def case(name, dtype, n, tolerance):
    return Case(
        name=name,
        grid=(triton.cdiv(n, 1024), 1, 1),
        args={
            "x": buffer(dtype, [n], uniform(1)),
            "y": buffer(dtype, [n], uniform(2)),
            "out": output(dtype, [n]),
            "n": n,
        },
        result=Result("add", {"a": "x", "b": "y"}, "out", **tolerance),
    )


KERNELS = [
    Kernel(
        file="vector_add_f32",
        fn=vector_add,
        signature={"x": "*fp32", "y": "*fp32", "out": "*fp32", "n": "i32"},
        constants={"TILE": 1024},
        cases=[case("one", "f32", 1, {"abs": 0.0, "rel": 6e-8}), case("ragged", "f32", 4099, {"abs": 0.0, "rel": 6e-8})],
    ),
    Kernel(
        file="vector_add_bf16",
        fn=vector_add,
        signature={"x": "*bf16", "y": "*bf16", "out": "*bf16", "n": "i32"},
        constants={"TILE": 1024},
        cases=[case("ragged", "bf16", 3005, {"abs": 0.0, "rel": 4e-3})],
    ),
]
