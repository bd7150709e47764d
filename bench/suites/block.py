"""A Llama-style block, weights as inputs, against torch.compile with cuDNN and with flash attention, and eager.

All sides compute in bf16 with the same roundings between operations; the reference is the whole block in float64.
"""

import functools

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from measure import Contender, Peer
from suites.common import Data, Setup, compiled, relative_l2, sets_for

EPSILON = 1e-5


def _norm(x, gain):
    wide = x.double() if x.dtype == torch.float64 else x.float()
    return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPSILON) * gain.to(wide.dtype)).to(x.dtype)


def block(x, g1, g2, wq, wk, wv, wo, wg, wu, wd, shape, attention):
    b, n, h, g, e = shape
    n1 = _norm(x, g1)
    q, k, v = ((n1 @ w).view(b, n, heads, e).transpose(1, 2) for w, heads in ((wq, h), (wk, g), (wv, g)))
    r = x + attention(q, k, v).transpose(1, 2).reshape(b * n, h * e) @ wo
    n2 = _norm(r, g2)
    return r + (torch.nn.functional.silu(n2 @ wg) * (n2 @ wu)) @ wd


def _exact(q, k, v):
    """Causal attention a head at a time."""
    ratio, n = q.shape[1] // k.shape[1], q.shape[2]
    later = torch.ones(n, n, dtype=torch.bool, device=q.device).triu(1)
    out = torch.empty_like(q)
    for head in range(q.shape[1]):
        logits = q[:, head] @ k[:, head // ratio].transpose(1, 2) * q.shape[3] ** -0.5
        out[:, head] = logits.masked_fill_(later, float("-inf")).softmax(-1) @ v[:, head // ratio]
    return out


def prepare(case, device, protocol):
    b, n, d, h, g, e, f = (case.sizes[x] for x in ("b", "s", "d", "h", "g", "e", "f"))
    data, sets = Data(device), sets_for(case, device)
    shapes = [(d, h * e), (d, g * e), (d, g * e), (h * e, d), (d, f), (d, f), (f, d)]
    inputs = []
    for _ in range(sets):
        gains = [(1 + data.normal((d,), "f32", 0.1)).bfloat16() for _ in range(2)]
        inputs.append([data.normal((b * n, d)), *gains, *(data.normal(s, scale=s[0] ** -0.5) for s in shapes)])
    shape = (b, n, h, g, e)

    @functools.cache
    def reference(i):
        with torch.no_grad():
            return block(*[x.double() for x in inputs[i]], shape, _exact).float()

    def check(i, outputs, contender):
        return relative_l2(outputs[0], reference(i))

    def fused(backend):
        def attention(q, k, v):
            with sdpa_kernel(backend):
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=h != g)

        return lambda *x: block(*x, shape, attention)

    backends = (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION)

    def torch_compile():
        found = []
        for backend in backends:
            for contender in compiled(fused(backend), inputs, device, protocol):
                contender.config += f", {backend.name}"
                found.append(contender)
        return found

    def eager():
        cpu = torch.device(device).type == "cpu"
        run = fused(SDPBackend.MATH if cpu else SDPBackend.CUDNN_ATTENTION)
        return [Contender("torch eager", lambda i: run(*inputs[i]), f"torch {torch.__version__}", "SDPA as compiled")]

    return Setup(inputs, [Peer("torch.compile", torch_compile), Peer("torch eager", eager)], check, 2e-2)

