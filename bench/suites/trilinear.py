"""Trilinear attention over two windows: a plain Triton kernel written for this comparison.

The shorter window is `w1`. Queries are scaled so that logits have standard deviation 1.5. The row is void where the peer stays below what
such a kernel is known to reach on the headline shape.
"""

import torch

from measure import Contender, Missing, Peer
from suites.common import Data, Setup, relative_l2, sets_for, some

# TFLOP/s a tuned plain Triton kernel reaches on this shape; below it the peer was not at its best.
FLOOR = {"trilinear-b4-n8192-h128": 330.0}


def prepare(case, device, protocol):
    b, n, h, g, d, w1, w2 = (case.sizes[x] for x in ("b", "s", "h", "g", "d", "w1", "w2"))
    data, sets, cpu = Data(device), sets_for(case, device), torch.device(device).type == "cpu"
    inputs = [[data.normal((b, n, h, d), scale=1.5)] + [data.normal((b, n, g, d)) for _ in range(4)] for _ in range(sets)]
    queries = some(n, 24, "cpu").tolist()

    def check(i, outputs, contender):
        """Output and log-sum of some queries in float64."""
        q, k1, k2, v1, v2 = inputs[i]
        errors, sums = [], []
        for at in queries:
            near, far = slice(max(0, at - w1 + 1), at + 1), slice(max(0, at - w2 + 1), at + 1)
            for batch in range(b):
                x, a, c = q[batch, at].double(), k1[batch, near, 0].double(), k2[batch, far, 0].double()
                logits = torch.einsum("hd,jd,kd->hjk", x, a, c).flatten(1) * d**-0.5
                weights = logits.softmax(-1).view(h, a.shape[0], c.shape[0])
                want = torch.einsum("hjk,jd,kd->hd", weights, v1[batch, near, 0].double(), v2[batch, far, 0].double())
                errors.append((outputs[0][batch, at].double(), want))
                sums.append((outputs[1][batch, :, at].double(), logits.logsumexp(-1)))
        both = [relative_l2(*(torch.stack(side) for side in zip(*pairs))) for pairs in (errors, sums)]
        return max(both)

    def plain():
        if cpu:
            raise Missing("Triton needs a GPU")
        import triton

        import triton_trilinear as kernel

        outs = [kernel.new_outputs(x[0]) for x in inputs]

        def contender(config):
            run = lambda i: kernel.run(config, inputs[i], *outs[i], w1, w2, d**-0.5)
            return Contender("Triton", run, f"Triton {triton.__version__}", kernel.text(config))

        return [contender(c) for c in kernel.configs(h, protocol.quick)]

    return Setup(inputs, [Peer("Triton", plain, {"floor": FLOOR.get(case.id), "patience": 3})], check, 2e-2)
