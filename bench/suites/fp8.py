"""8-bit products with a scale for each row of both operands, bf16 out: `_scaled_mm` and cuBLASLt, summing fast or promoted.

Rows are quantised from N(0, 1) activations and N(0, 1/K) weights. Fast accumulation keeps sums in the tensor core's 13-bit fractions;
promoted adds them up in float32.
"""

import torch

import cublaslt
from measure import Contender, Missing, Peer
from suites.common import Data, Setup, relative_l2, sets_for, some


def quantised(x):
    scale = x.float().abs().amax(1).clamp_min(1e-12) / 448.0
    return (x.float() / scale[:, None]).to(torch.float8_e4m3fn), scale


def prepare(case, device, protocol):
    m, n, k = case.sizes["m"], case.sizes["n"], case.sizes["k"]
    data, sets, cpu = Data(device), sets_for(case, device), torch.device(device).type == "cpu"
    inputs, outs = [], []
    for _ in range(sets):
        (x, sx), (w, sw) = quantised(data.normal((m, k))), quantised(data.normal((n, k), scale=k**-0.5))
        inputs.append([x, w, sx, sw])
        outs.append(torch.empty((m, n), dtype=torch.bfloat16, device=device))
    rows = some(m, 512, device)

    def check(i, outputs, contender):
        x, w, sx, sw = inputs[i]
        want = (x[rows].double() @ w.double().t()) * sx[rows].double()[:, None] * sw.double()[None, :]
        return relative_l2(outputs[0][rows], want)

    def scaled_mm(fast):
        def make():
            if cpu:
                raise Missing("_scaled_mm by rows needs a GPU")

            def run(i):
                x, w, sx, sw = inputs[i]
                options = {"scale_a": sx[:, None], "scale_b": sw[None, :], "out_dtype": torch.bfloat16, "use_fast_accum": fast}
                return torch._scaled_mm(x, w.t(), out=outs[i], **options)

            return [Contender(f"_scaled_mm {'fast' if fast else 'promoted'}", run, f"torch {torch.__version__}", "torch._scaled_mm")]

        return make

    def lt(fast):
        def make():
            if cpu:
                raise Missing("cuBLASLt needs a GPU")
            x, w, sx, sw = inputs[0]
            plans = cublaslt.plans(x, w, outs[0], transpose_b=True, scales=(sx, sw), fast=fast)
            name = f"cuBLASLt {'fast' if fast else 'promoted'}"
            call = lambda i, p: p(inputs[i][0], inputs[i][1], outs[i], inputs[i][2], inputs[i][3])
            return [Contender(name, lambda i, p=p: call(i, p), cublaslt.version(), p.config) for p in plans]

        return make

    peers = []
    for fast in (True, False):
        word = "fast" if fast else "promoted"
        peers += [Peer(f"_scaled_mm {word}", scaled_mm(fast)), Peer(f"cuBLASLt {word}", lt(fast))]
    # Fast sums are held to what 13-bit fractions give over long rows, ours too.
    return Setup(inputs, peers, check, 2e-2)
