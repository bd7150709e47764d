"""Squared-ReLU feed-forward networks against torch: compiled with autotuning, and eager.

A bias makes 92 % of the activations zero, as in trained networks of this kind. Cases with `sparse` keep two of four activations in Tricot; the
peer computes the dense network, which is what a user would run instead.
"""

import torch

from measure import Contender, Peer
from suites.common import Data, Setup, compiled, relative_l2, sets_for, some
from suites.sp24 import pruned

# N(0, 1) stays above this 8 % of the time.
THRESHOLD = 1.405


def dense(x, w1, b, w2):
    return torch.relu(torch.addmm(b, x, w1)).square() @ w2


def prepare(case, device, protocol):
    t, d, f = case.sizes["t"], case.sizes["d"], case.sizes["f"]
    data, sets = Data(device), sets_for(case, device)
    inputs = []
    for _ in range(sets):
        bias = (data.normal((f,), "f32", 0.05) - THRESHOLD).bfloat16()
        inputs.append([data.normal((t, d)), data.normal((d, f), scale=d**-0.5), bias, data.normal((f, d), scale=f**-0.5)])
    rows = some(t, 256, device)

    def check(i, outputs, contender):
        x, w1, b, w2 = inputs[i]
        hidden = torch.relu(x[rows].double() @ w1.double() + b.double()).square()
        if case.sizes.get("sparse") and contender.name == "Tricot":
            hidden = pruned(hidden)[2]
        return relative_l2(outputs[0][rows], hidden @ w2.double())

    version = f"torch {torch.__version__}"
    peers = [
        Peer("torch.compile", lambda: compiled(dense, inputs, device, protocol)),
        Peer("torch eager", lambda: [Contender("torch eager", lambda i: dense(*inputs[i]), version, "addmm, relu, square, mm")]),
    ]
    # Hidden values are rounded before a threshold cuts most of them away, which is where the error comes from on all sides.
    return Setup(inputs, peers, check, 3e-2)
