# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Softmax over the rows of a matrix, one row in registers at a time; a program walks over several rows."""

import triton
import triton.language as tl

from describe import Case, Kernel, Result, buffer, output, uniform


@triton.jit
def softmax_rows(x, out, rows, columns, x_stride, out_stride, WIDTH: tl.constexpr):
    column = tl.arange(0, WIDTH)
    inside = column < columns
    for row in tl.range(tl.program_id(0), rows, tl.num_programs(0), num_stages=2):
        value = tl.load(x + row * x_stride + column, mask=inside, other=-float("inf")).to(tl.float32)
        weight = tl.exp(value - tl.max(value, axis=0))
        share = weight / tl.sum(weight, axis=0)
        tl.store(out + row * out_stride + column, share.to(out.dtype.element_ty), mask=inside)


def case(name, dtype, rows, columns, pad, programs, tolerance):
    return Case(
        name=name,
        grid=(programs, 1, 1),
        args={
            "x": buffer(dtype, [rows, columns], uniform(3, scale=8.0), strides=[columns + pad, 1]),
            "out": output(dtype, [rows, columns], strides=[columns + pad, 1]),
            "rows": rows,
            "columns": columns,
            "x_stride": columns + pad,
            "out_stride": columns + pad,
        },
        result=Result("softmax_rows", {"x": "x"}, "out", **tolerance),
    )


def signature(dtype):
    ints = {"rows": "i32", "columns": "i32", "x_stride": "i32", "out_stride": "i32"}
    return {"x": f"*{dtype}", "out": f"*{dtype}", **ints}


KERNELS = [
    Kernel(
        file="softmax_f32",
        fn=softmax_rows,
        signature=signature("fp32"),
        constants={"WIDTH": 1024},
        options={"num_warps": 4},
        cases=[
            case("one_column", "f32", 3, 1, 0, 2, {"abs": 1e-7, "rel": 1e-5}),
            case("ragged", "f32", 7, 781, 0, 3, {"abs": 1e-7, "rel": 1e-5}),
        ],
    ),
    # A leading dimension divisible by 16 lets the compiler use vector loads.
    Kernel(
        file="softmax_f16",
        fn=softmax_rows,
        signature=signature("fp16"),
        constants={"WIDTH": 512},
        options={"num_warps": 8},
        divisible=("x", "out", "x_stride", "out_stride"),
        cases=[case("ragged", "f16", 9, 397, 3, 4, {"abs": 1e-6, "rel": 2e-3})],
    ),
]
