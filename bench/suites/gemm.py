"""Dense products, bf16 in and out: cuBLAS (torch.mm), cuBLASLt with a search over its heuristics, JAX's Mosaic kernel for Hopper."""

import torch

import cublaslt
import mosaic
from measure import Contender, Missing, Peer
from suites.common import Data, Setup, relative_l2, sets_for, some


def prepare(case, device, protocol):
    m, n, k = case.sizes["m"], case.sizes["n"], case.sizes["k"]
    data, sets = Data(device), sets_for(case, device)
    inputs = [[data.normal((m, k), case.dtype), data.normal((k, n), case.dtype, k**-0.5)] for _ in range(sets)]
    outs = [torch.empty((m, n), dtype=inputs[0][0].dtype, device=device) for _ in range(sets)]
    rows = some(m, 1024, device)

    def check(i, outputs, contender):
        x, w = inputs[i]
        return relative_l2(outputs[0][rows], x[rows].double() @ w.double())

    def torch_mm():
        def run(i):
            return torch.mm(*inputs[i], out=outs[i])

        return [Contender("cuBLAS", run, f"torch {torch.__version__}", "torch.mm")]

    def lt():
        if torch.device(device).type == "cpu":
            raise Missing("cuBLASLt needs a GPU")
        plans = cublaslt.plans(inputs[0][0], inputs[0][1], outs[0], transpose_b=False)
        return [Contender("cuBLASLt", lambda i, p=p: p(*inputs[i], outs[i]), cublaslt.version(), p.config) for p in plans]

    def jax():
        return mosaic.matmul(inputs, protocol)

    return Setup(inputs, [Peer("cuBLAS", torch_mm), Peer("cuBLASLt", lt), Peer("Mosaic", jax)], check, 6e-3)
