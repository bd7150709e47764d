# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Attention without the score matrix in memory: a running maximum and sum per row of queries.

The weights of a block of keys stay in registers and are the first operand of the second product.
"""

import triton
import triton.language as tl

from describe import Case, Kernel, Result, buffer, output, scalar, uniform


@triton.jit
def merge(scores, values, peak, total, sums):
    """Adds one block of keys to the running softmax; scores are in units of log 2."""
    new_peak = tl.maximum(peak, tl.max(scores, axis=1))
    weight = tl.math.exp2(scores - new_peak[:, None])
    fade = tl.math.exp2(peak - new_peak)
    sums = tl.dot(weight.to(values.dtype), values, sums * fade[:, None])
    return new_peak, total * fade + tl.sum(weight, axis=1), sums


@triton.jit
def attention(q, k, v, out, queries, keys, scale_log2, CAUSAL: tl.constexpr, BQ: tl.constexpr, BK: tl.constexpr, D: tl.constexpr):
    """Tensor maps over [batch x heads, length, D]; their bounds cut the ragged end of the sequence."""
    head = tl.program_id(1)
    first = tl.program_id(0) * BQ
    query = first + tl.arange(0, BQ)
    peak = tl.full([BQ], -float("inf"), tl.float32)
    total = tl.zeros([BQ], tl.float32)
    sums = tl.zeros([BQ, D], tl.float32)
    q_block = q.load([head, first, 0]).reshape(BQ, D)
    end = keys
    if CAUSAL:
        end = tl.minimum(keys, first + BQ)
    for at in range(0, end, BK):
        k_block = k.load([head, at, 0]).reshape(BK, D)
        scores = tl.dot(q_block, k_block.T) * scale_log2
        key = at + tl.arange(0, BK)
        seen = key[None, :] < keys
        if CAUSAL:
            seen = seen & (key[None, :] <= query[:, None])
        v_block = v.load([head, at, 0]).reshape(BK, D)
        peak, total, sums = merge(tl.where(seen, scores, -float("inf")), v_block, peak, total, sums)
    out.store([head, first, 0], (sums / total[:, None]).to(out.dtype).reshape(1, BQ, D))


@triton.jit
def attention_pointers(q, k, v, out, queries, keys, scale_log2, BQ: tl.constexpr, BK: tl.constexpr, D: tl.constexpr):
    """The same on plain pointers."""
    head = tl.program_id(1).to(tl.int64)
    query = tl.program_id(0) * BQ + tl.arange(0, BQ)
    inner = tl.arange(0, D)
    peak = tl.full([BQ], -float("inf"), tl.float32)
    total = tl.zeros([BQ], tl.float32)
    sums = tl.zeros([BQ, D], tl.float32)
    q_rows = q + head * queries * D + query[:, None] * D + inner[None, :]
    q_block = tl.load(q_rows, mask=query[:, None] < queries, other=0.0)
    for at in range(0, keys, BK):
        key = at + tl.arange(0, BK)
        k_block = tl.load(k + head * keys * D + key[None, :] * D + inner[:, None], mask=key[None, :] < keys, other=0.0)
        v_block = tl.load(v + head * keys * D + key[:, None] * D + inner[None, :], mask=key[:, None] < keys, other=0.0)
        scores = tl.where(key[None, :] < keys, tl.dot(q_block, k_block) * scale_log2, -float("inf"))
        peak, total, sums = merge(scores, v_block, peak, total, sums)
    rows = out + head * queries * D + query[:, None] * D + inner[None, :]
    tl.store(rows, (sums / total[:, None]).to(out.dtype.element_ty), mask=query[:, None] < queries)


def case(name, dtype, heads, queries, keys, d, bq, causal=False):
    scale = d**-0.5
    return Case(
        name=name,
        grid=(triton.cdiv(queries, bq), heads, 1),
        args={
            "q": buffer(dtype, [heads, queries, d], uniform(40, scale=2.0)),
            "k": buffer(dtype, [heads, keys, d], uniform(41, scale=2.0)),
            "v": buffer(dtype, [heads, keys, d], uniform(42)),
            "out": output(dtype, [heads, queries, d]),
            "queries": queries,
            "keys": keys,
            "scale_log2": scalar("f32", scale * 1.4426950408889634),
        },
        result=Result(
            "attention",
            {"q": "q", "k": "k", "v": "v"},
            "out",
            options={"scale": scale, "causal": causal},
            abs=2e-3 if dtype == "f16" else 1e-2,
            rel=4e-3 if dtype == "f16" else 2e-2,
        ),
    )


def maps(dtype, bq, bk, d):
    query, key = f"desc:{dtype}[1, {bq}, {d}]", f"desc:{dtype}[1, {bk}, {d}]"
    sizes = {"queries": "i32", "keys": "i32", "scale_log2": "fp32"}
    return {"q": query, "k": key, "v": key, "out": query} | sizes


KERNELS = [
    Kernel(
        file="attention_f16",
        fn=attention,
        signature=maps("fp16", 64, 64, 64),
        constants={"CAUSAL": False, "BQ": 64, "BK": 64, "D": 64},
        options={"num_warps": 4, "num_stages": 3},
        divisible=(),
        cases=[
            case("one_tile", "f16", 1, 64, 64, 64, 64),
            case("ragged", "f16", 2, 100, 300, 64, 64),
        ],
    ),
    Kernel(
        file="attention_causal_bf16",
        fn=attention,
        signature=maps("bf16", 128, 64, 128),
        constants={"CAUSAL": True, "BQ": 128, "BK": 64, "D": 128},
        options={"num_warps": 8, "num_stages": 2},
        divisible=(),
        cases=[case("ragged", "bf16", 2, 200, 200, 128, 128, causal=True)],
    ),
    Kernel(
        file="attention_cp_async_f16",
        fn=attention_pointers,
        signature={"q": "*fp16", "k": "*fp16", "v": "*fp16", "out": "*fp16"}
        | {"queries": "i32", "keys": "i32", "scale_log2": "fp32"},
        constants={"BQ": 64, "BK": 64, "D": 64},
        options={"num_warps": 4, "num_stages": 3},
        cases=[case("ragged", "f16", 2, 75, 203, 64, 64)],
    ),
]
