"""2:4 weights, y = x W^T: cuSPARSELt with every algorithm and split-K that is correct, and dense cuBLAS of the same product.

The weights are N(0, 1/K) pruned by magnitude; FLOPs count the dense work. The peers' results lie as ours does, [tokens, outputs].
"""

import torch

from measure import Contender, Missing, Peer
from suites.common import Data, Setup, relative_l2, sets_for, some

ALGORITHMS = 16
SPLITS = ((1, -1), (2, -1), (2, 1), (4, -1), (4, 1))


def pruned(w):
    """Best two of four by magnitude, ties to the lower index; the values, Tricot's metadata, and the matrix with its zeros."""
    return tuple(torch.cat(parts) for parts in zip(*(_pruned(part) for part in w.split(4096))))


def _pruned(w):
    n, k = w.shape
    groups = w.view(n, k // 4, 4)
    size = groups.abs()
    # How many of a group come before each element: larger ones, and equal ones to its left.
    better = [sum((size[..., j] > size[..., i]).int() + ((size[..., j] == size[..., i]).int() if j < i else 0) for j in range(4)) for i in range(4)]
    mask = torch.stack(better, dim=-1) < 2
    values = groups[mask].view(n, k // 2)
    keep = torch.arange(4, dtype=torch.uint8, device=w.device).expand_as(groups)[mask].view(n, k // 4, 2)
    nibbles = keep[..., 0] | keep[..., 1] << 2
    return values, nibbles[:, 0::2] | nibbles[:, 1::2] << 4, torch.where(mask, groups, 0).view(n, k)


def prepare(case, device, protocol):
    t, n, k = case.sizes["t"], case.sizes["n"], case.sizes["k"]
    data, sets, cpu = Data(device), sets_for(case, device), torch.device(device).type == "cpu"
    narrow = case.dtype == "f8e4m3"
    inputs, weights = [], []
    for _ in range(sets):
        x, w = data.normal((t, k)), data.normal((n, k), scale=k**-0.5)
        values, meta, dense = pruned(w)
        if narrow:
            # One scale for the whole matrix, a power of two, so that neither side scales afterwards.
            x, values, dense = [(a.float() * s).to(torch.float8_e4m3fn) for a, s in ((x, 1), (values, 64), (dense, 64))]
        inputs.append([values, meta, x])
        weights.append(dense)
    outs = [torch.empty((t, n), dtype=torch.bfloat16, device=device) for _ in range(sets)]
    rows = some(t, 512, device)

    def check(i, outputs, contender):
        return relative_l2(outputs[0][rows], inputs[i][2][rows].double() @ weights[i].double().t())

    def cusparselt():
        if cpu or not torch.backends.cusparselt.is_available():
            raise Missing("cuSPARSELt is not available")
        packed = [torch._cslt_compress(w) for w in weights]
        name, version = "cuSPARSELt", f"cuSPARSELt {torch.backends.cusparselt.version()}"
        found = []
        for algorithm in range(ALGORITHMS):
            for split, mode in SPLITS if not protocol.quick else SPLITS[:1]:

                def run(i, a=algorithm, s=split, m=mode):
                    options = {"transpose_result": True, "alg_id": a, "split_k": s, "split_k_mode": m}
                    if narrow:  # Refused where it is the type of the operands anyway.
                        options["out_dtype"] = torch.bfloat16
                    return torch._cslt_sparse_mm(packed[i], inputs[i][2].t(), **options)

                found.append(Contender(name, run, version, f"algorithm {algorithm}, split-K {split} mode {mode}"))
        return found

    def dense():
        version = f"torch {torch.__version__}"
        if not narrow:
            run = lambda i: torch.mm(inputs[i][2], weights[i].t(), out=outs[i])
            return [Contender("cuBLAS dense", run, version, "torch.mm")]
        if cpu:
            raise Missing("_scaled_mm needs a GPU")
        one = torch.ones((), device=device)

        def scaled(i):
            options = {"scale_a": one, "scale_b": one, "out_dtype": torch.bfloat16, "use_fast_accum": True}
            return torch._scaled_mm(inputs[i][2], weights[i].t(), out=outs[i], **options)

        return [Contender("cuBLAS dense", scaled, version, "torch._scaled_mm, fast accumulation")]

    return Setup(inputs, [Peer("cuSPARSELt", cusparselt), Peer("cuBLAS dense", dense)], check, 2e-2 if narrow else 6e-3)
