"""A plain Triton kernel for trilinear attention, written to be the peer: no warp specialisation, no inline assembly.

One program handles one query position and a tile of the heads that share the only key head; rows are heads. It walks the keys of the short
window one by one (they scale q before, and V before or after the second product) and blocks of the long window inside. The softmax is online,
base 2, over the whole plane of pairs. `configs` lists what is worth trying; `run` launches one of them.

FORM 0 multiplies the second product's result by v1 for each block; FORM 1 keeps a sum for each short-window key and multiplies once; FORM 2
multiplies V by v1 before the product, one more rounding.
"""

import itertools

import torch
import triton
import triton.language as tl


@triton.jit
def block(
    scaled, value, k2, v2, start, end, acc, part, best, total, scale,
    DIM: tl.constexpr, KEYS: tl.constexpr, FORM: tl.constexpr, RAGGED: tl.constexpr,
):
    """One block of long-window keys from `start`; `RAGGED` ones may reach beyond `end`."""
    at = start + tl.arange(0, KEYS)
    places = at[:, None] * DIM + tl.arange(0, DIM)[None, :]
    if RAGGED:
        keys = tl.load(k2 + places, mask=at[:, None] < end, other=0.0)
        values = tl.load(v2 + places, mask=at[:, None] < end, other=0.0)
    else:
        keys = tl.load(k2 + places)
        values = tl.load(v2 + places)
    logits = tl.dot(scaled, tl.trans(keys)) * scale
    if RAGGED:
        logits = tl.where(at[None, :] < end, logits, float("-inf"))
    higher = tl.maximum(best, tl.max(logits, 1))
    old = tl.exp2(best - higher)
    weights = tl.exp2(logits - higher[:, None])
    total = total * old + tl.sum(weights, 1)
    weights = weights.to(values.dtype)
    if FORM == 0:
        acc = acc * old[:, None] + tl.dot(weights, values) * value[None, :]
    elif FORM == 1:
        acc = acc * old[:, None]
        part = tl.dot(weights, values, part * old[:, None])
    else:
        both = (values.to(tl.float32) * value[None, :]).to(values.dtype)
        acc = tl.dot(weights, both, acc * old[:, None])
    return acc, part, higher, total


@triton.jit
def forward(
    q, k1, k2, v1, v2, out, lse, seq, scale,
    HEADS: tl.constexpr, DIM: tl.constexpr, W1: tl.constexpr, W2: tl.constexpr, ROWS: tl.constexpr, KEYS: tl.constexpr,
    FORM: tl.constexpr, STAGES: tl.constexpr,
):
    tiles: tl.constexpr = HEADS // ROWS
    # Neighbours in the grid share keys, which keeps them in the cache.
    i = tl.program_id(0) // tiles
    b = tl.program_id(1).to(tl.int64)
    head = (tl.program_id(0) % tiles) * ROWS + tl.arange(0, ROWS)
    dim = tl.arange(0, DIM)
    base = b * seq * DIM
    rows = (b * seq + i) * HEADS * DIM + head[:, None] * DIM + dim[None, :]
    query = tl.load(q + rows)
    best = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    acc = tl.zeros([ROWS, DIM], tl.float32)
    first = tl.maximum(0, i - W2 + 1)
    whole = first + (i + 1 - first) // KEYS * KEYS
    for j in range(tl.maximum(0, i - W1 + 1), i + 1):
        key = tl.load(k1 + base + j * DIM + dim)
        value = tl.load(v1 + base + j * DIM + dim).to(tl.float32)
        scaled = (query.to(tl.float32) * key.to(tl.float32)[None, :]).to(query.dtype)
        part = tl.zeros([ROWS, DIM], tl.float32)
        # The scale is applied to logits in f32, so that q is rounded once.
        for start in tl.range(first, whole, KEYS, num_stages=STAGES):
            acc, part, best, total = block(
                scaled, value, k2 + base, v2 + base, start, i + 1, acc, part, best, total, scale, DIM, KEYS, FORM, False
            )
        if whole < i + 1:
            acc, part, best, total = block(
                scaled, value, k2 + base, v2 + base, whole, i + 1, acc, part, best, total, scale, DIM, KEYS, FORM, True
            )
        if FORM == 1:
            acc += part * value[None, :]
    tl.store(out + rows, (acc / total[:, None]).to(query.dtype))
    tl.store(lse + (b * HEADS + head) * seq + i, (best + tl.log2(total)) * 0.6931471805599453)


def configs(heads, quick):
    """(rows, keys, form, stages, warps), the likely ones first; those that spill hundreds of bytes when compiled for sm_90a are left out."""
    most = min(heads, 128)
    likely = [(most, 64, 2, 2, 8), (most, 64, 0, 2, 8), (64, 64, 2, 2, 8), (64, 64, 0, 2, 8), (most, 32, 2, 3, 8), (64, 128, 0, 2, 8)]
    wide = itertools.product((128,), (64, 32, 128), (0, 2, 1), (2, 3, 1), (8,))
    narrow = itertools.product((64,), (64, 128), (0, 2, 1), (2, 3, 1), (8, 4))
    grid = [c for c in [*wide, *narrow] if c[0] <= heads and heads % c[0] == 0]
    # A small head count still has a tile of its own.
    grid = grid or [(heads, 64, 0, 2, 4)]
    return list(dict.fromkeys([c for c in likely if c[0] <= heads] + ([] if quick else grid)))


def run(config, inputs, out, lse, w1, w2, scale):
    """Launches on the current stream."""
    rows, keys, form, stages, warps = config
    q, k1, k2, v1, v2 = inputs
    b, s, h, d = q.shape
    if k1.shape[2] != 1 or h % rows:
        raise ValueError("one key head, and tiles that divide the query heads")
    grid = (s * (h // rows), b)
    forward[grid](
        q, k1, k2, v1, v2, out, lse, s, scale * 1.4426950408889634, HEADS=h, DIM=d, W1=w1, W2=w2, ROWS=rows, KEYS=keys, FORM=form,
        STAGES=stages, num_warps=warps, num_stages=stages,
    )
    return out, lse


def text(config):
    return "rows {} keys {} form {} stages {} warps {}".format(*config)


def new_outputs(q):
    b, s, h, _ = q.shape
    return torch.empty_like(q), torch.empty((b, h, s), dtype=torch.float32, device=q.device)
