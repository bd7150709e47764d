# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layer normalisation: three sweeps over a row that does not fit the registers of one program."""

import triton
import triton.language as tl

from describe import Case, Kernel, Result, buffer, output, scalar, uniform


@triton.jit
def layer_norm(x, weight, bias, out, columns, eps, TILE: tl.constexpr):
    start = tl.program_id(0).to(tl.int64) * columns
    lane = tl.arange(0, TILE)

    total = tl.zeros([TILE], tl.float32)
    for at in range(0, columns, TILE):
        total += tl.load(x + start + at + lane, mask=at + lane < columns, other=0.0).to(tl.float32)
    mean = tl.sum(total, axis=0) / columns

    square = tl.zeros([TILE], tl.float32)
    for at in range(0, columns, TILE):
        value = tl.load(x + start + at + lane, mask=at + lane < columns, other=0.0).to(tl.float32)
        offset = tl.where(at + lane < columns, value - mean, 0.0)
        square += offset * offset
    inverse = tl.rsqrt(tl.sum(square, axis=0) / columns + eps)

    for at in range(0, columns, TILE):
        inside = at + lane < columns
        value = tl.load(x + start + at + lane, mask=inside, other=0.0).to(tl.float32)
        scaled = (value - mean) * inverse * tl.load(weight + at + lane, mask=inside) + tl.load(bias + at + lane, mask=inside)
        tl.store(out + start + at + lane, scaled.to(out.dtype.element_ty), mask=inside)


def case(name, rows, columns):
    return Case(
        name=name,
        grid=(rows, 1, 1),
        args={
            "x": buffer("f16", [rows, columns], uniform(4, scale=2.0)),
            "weight": buffer("f32", [columns], uniform(5)),
            "bias": buffer("f32", [columns], uniform(6)),
            "out": output("f16", [rows, columns]),
            "columns": columns,
            "eps": scalar("f32", 1e-5),
        },
        result=Result(
            "layer_norm",
            {"x": "x", "weight": "weight", "bias": "bias"},
            "out",
            options={"eps": 1e-5},
            abs=2e-4,
            rel=2e-3,
        ),
    )


KERNELS = [
    Kernel(
        file="layer_norm_f16",
        fn=layer_norm,
        signature={
            "x": "*fp16",
            "weight": "*fp32",
            "bias": "*fp32",
            "out": "*fp16",
            "columns": "i32",
            "eps": "fp32",
        },
        constants={"TILE": 256},
        cases=[case("narrow", 2, 37), case("ragged", 5, 1003)],
    )
]
