"""Embedding bags of a recommendation model: torch's embedding_bag and a plain Triton kernel written for this comparison.

The table is far larger than any cache, so sets differ in their indices and outputs only. Indices are uniform, or log-uniform (Zipf with
exponent 1). Rates count every row looked up, so those of skewed indices come partly from the cache.
"""

import torch

import cases
from measure import Contender, Missing, Peer
from suites.common import Data, Setup, relative_l2, some


def prepare(case, device, protocol):
    rows, d, dtype, batch = (case.sizes[x] for x in ("rows", "d", "dtype", "batch"))
    data, cpu, narrow = Data(device), torch.device(device).type == "cpu", dtype == "u8"
    hots = cases.hots(case.sizes)
    share = rows // len(hots)
    if narrow:
        table = torch.randint(0, 256, (rows, d), dtype=torch.uint8, device=device, generator=data.generator)
        shared = [table, data.normal((rows,), "f32").abs() * 0.01 + 0.001, data.normal((rows,), "f32")]
    else:
        shared = [data.normal((rows, d), dtype)]
    lengths = torch.tensor(hots, device=device).repeat_interleave(batch)
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)[:-1]])
    table_of = torch.arange(len(hots), device=device).repeat_interleave(torch.tensor(hots, device=device) * batch)
    inputs = []
    for _ in range(2 if cpu else 3):
        uniform = torch.rand(table_of.numel(), generator=data.generator, device=device)
        local = share**uniform - 1 if case.sizes["spread"] == "zipf" else share * uniform
        inputs.append([*shared, table_of * share + local.long().clamp(0, share - 1), offsets.clone()])
    out_type = torch.float16 if dtype == "f16" else torch.float32
    picked = some(offsets.numel(), 2048, device)
    ends = offsets + lengths

    def check(i, outputs, contender):
        errors = []
        indices = inputs[i][-2]
        for bag in picked[:: max(1, len(picked) // 256)].tolist():
            at = indices[int(offsets[bag]) : int(ends[bag])]
            found = shared[0][at].double()
            if narrow:
                found = found * shared[1][at].double()[:, None] + shared[2][at].double()[:, None]
            errors.append((outputs[0][bag], found.sum(0)))
        return relative_l2(*(torch.stack(side) for side in zip(*errors)))

    def eager():
        if narrow:
            raise Missing("torch has no 8-bit embedding_bag on a GPU")
        run = lambda i: torch.nn.functional.embedding_bag(inputs[i][-2], shared[0], inputs[i][-1], mode="sum")
        return [Contender("torch", run, f"torch {torch.__version__}", "embedding_bag")]

    def plain():
        if cpu:
            raise Missing("Triton needs a GPU")
        import triton

        import triton_embedding as kernel

        outs = [torch.empty((offsets.numel(), d), dtype=out_type, device=device) for _ in inputs]

        def contender(config):
            run = lambda i: kernel.run(config, inputs[i], outs[i])
            return Contender("Triton", run, f"Triton {triton.__version__}", "rows {} warps {}".format(*config))

        return [contender(c) for c in kernel.CONFIGS[: 3 if protocol.quick else None]]

    def fbgemm():
        raise Missing("fbgemm_gpu is not installed where this was measured; its table-batched kernels are not compared")

    peers = [Peer("torch", eager), Peer("Triton", plain), Peer("FBGEMM", fbgemm)]
    return Setup(inputs, peers, check, 1e-5 if out_type == torch.float32 else 2e-3)
