"""A plain Triton kernel for embedding bags, written to be the peer: one program a bag, several rows in flight.

All tables are one here, so the launch is table-batched already. `SCALED` tables hold bytes with a scale and a bias for each row.
"""

import triton
import triton.language as tl

# (rows in flight, warps)
CONFIGS = [(8, 1), (4, 1), (16, 1), (8, 2), (4, 2), (16, 2), (2, 1), (16, 4), (32, 2)]


@triton.jit
def bag(
    table, scale, bias, indices, offsets, out, bags, count,
    DIM: tl.constexpr, ROWS: tl.constexpr, SCALED: tl.constexpr,
):
    t = tl.program_id(0)
    begin = tl.load(offsets + t)
    end = tl.load(offsets + t + 1, mask=t + 1 < bags, other=count)
    dim = tl.arange(0, DIM)
    total = tl.zeros([DIM], tl.float32)
    for start in range(begin, end, ROWS):
        at = start + tl.arange(0, ROWS)
        inside = at < end
        row = tl.load(indices + at, mask=inside, other=0)
        values = tl.load(table + row[:, None] * DIM + dim[None, :], mask=inside[:, None], other=0).to(tl.float32)
        if SCALED:
            factor = tl.load(scale + row, mask=inside, other=0.0)
            shift = tl.load(bias + row, mask=inside, other=0.0)
            values = values * factor[:, None] + shift[:, None]
        total += tl.sum(values, 0)
    tl.store(out + t.to(tl.int64) * DIM + dim, total.to(out.dtype.element_ty))


def run(config, inputs, out):
    """Launches on the current stream; `inputs` as the case has them."""
    rows, warps = config
    table, *scales, indices, offsets = inputs
    scale, bias = scales or (table, table)
    bag[(offsets.numel(),)](
        table, scale, bias, indices, offsets, out, offsets.numel(), indices.numel(), DIM=table.shape[1], ROWS=rows, SCALED=bool(scales),
        num_warps=warps,
    )
    return out
