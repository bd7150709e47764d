"""What the suites share: `Setup`, data as real models have it, buffer rotation, and errors.

Activations are N(0, 1), weights N(0, 1/K), never zeros or constants: power and with it the clock depend on the data.
"""

import math
from dataclasses import dataclass, field
from typing import Callable

import torch

from native import DTYPES

# Bytes that rotation must touch before it comes back to a buffer, well over the cache.
ROTATE = 256e6
MOST_SETS = 64


@dataclass
class Setup:
    # Our inputs of each set, in the order of the bundle's ports.
    inputs: list
    peers: list
    # Error of the outputs of set i against float64, by contender.
    check: Callable
    # Largest error that passes.
    bound: float
    notes: list = field(default_factory=list)


def sets_for(case, device):
    """At least 3 sets, at least `ROTATE` bytes together."""
    if torch.device(device).type == "cpu":
        return 2
    return max(3, min(MOST_SETS, math.ceil(ROTATE / case.bytes)))


class Data:
    """Seeded random tensors on a device."""

    def __init__(self, device, seed=0):
        self.device = torch.device(device)
        self.generator = torch.Generator(self.device).manual_seed(seed)

    def normal(self, shape, dtype="bf16", scale=1.0):
        """N(0, scale^2), made in slabs so that float32 copies stay small."""
        out = torch.empty(shape, dtype=DTYPES[dtype], device=self.device)
        flat = out.view(-1) if out.dim() else out
        for part in flat.split(1 << 26):
            part.copy_(torch.randn(part.shape, generator=self.generator, device=self.device) * scale)
        return out

    def integers(self, high, shape, dtype=torch.int64):
        return torch.randint(high, shape, generator=self.generator, device=self.device, dtype=dtype)


def relative_l2(ours, reference):
    """Of everything that counts; NaN and infinities never pass."""
    ours, reference = ours.double(), reference.double()
    error = (ours - reference).norm() / reference.norm().clamp_min(1e-300)
    return float(error) if bool(torch.isfinite(error)) else float("inf")


def some(n, most, device, seed=7):
    """Up to `most` sorted positions of n: both ends and random ones between."""
    if n <= most:
        return torch.arange(n, device=device)
    generator = torch.Generator().manual_seed(seed)
    picked = torch.randperm(n, generator=generator)[: most - 2]
    return torch.cat([picked, torch.tensor([0, n - 1])]).unique().to(device)


def compiled(function, inputs, device, protocol, name="torch.compile"):
    """`function` through torch.compile as contenders: with autotuning in full runs; graphs are ours, so none inside."""
    import torch._dynamo

    from measure import Contender, Missing

    if torch.device(device).type == "cpu":
        raise Missing("torch.compile is timed on the GPU only")
    modes = ["default"] if protocol.quick else ["max-autotune-no-cudagraphs", "default"]

    def contender(mode):
        torch._dynamo.reset()
        call = torch.compile(function, mode=mode, dynamic=False, fullgraph=True)

        def run(i):
            with torch.no_grad():
                return call(*inputs[i])

        return Contender(name, run, f"torch {torch.__version__}", f"mode {mode}")

    return [contender(mode) for mode in modes]
