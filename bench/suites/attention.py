"""Dot-product attention forward: cuDNN and flash through torch's SDPA, JAX's Mosaic kernel.

Queries are scaled so that logits have standard deviation 1.5: smaller ones hide errors of scale. All sides read and write [batch, sequence,
heads, features].
"""

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

import mosaic
from measure import Contender, Missing, Peer
from suites.common import Data, Setup, relative_l2, sets_for, some


def prepare(case, device, protocol):
    b, n, h, g, d, causal = (case.sizes[x] for x in ("b", "s", "h", "g", "d", "causal"))
    data, sets, cpu = Data(device), sets_for(case, device), torch.device(device).type == "cpu"
    inputs = [
        [data.normal((b, n, h, d), scale=1.5), data.normal((b, n, g, d)), data.normal((b, n, g, d))] for _ in range(sets)
    ]
    queries = some(n, 96, device)

    def check(i, outputs, contender):
        q, k, v = (x.double() for x in (inputs[i][0][:, queries], *inputs[i][1:]))
        got, want = [], []
        for head in range(h):
            logits = torch.einsum("bqd,bkd->bqk", q[:, :, head], k[:, :, head // (h // g)]) * d**-0.5
            if causal:
                later = torch.arange(n, device=device)[None, :] > queries[:, None]
                logits.masked_fill_(later, float("-inf"))
            want.append(torch.einsum("bqk,bkd->bqd", logits.softmax(-1), v[:, :, head // (h // g)]))
            got.append(outputs[0][:, queries, head])
        return relative_l2(torch.stack(got), torch.stack(want))

    def sdpa(name, backend):
        def make():
            if cpu:
                raise Missing(f"{name} attention needs a GPU")

            def run(i):
                q, k, v = (x.transpose(1, 2) for x in inputs[i])
                with sdpa_kernel(backend):
                    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=h != g)
                return out.transpose(1, 2)

            version = f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
            return [Contender(name, run, version, f"SDPA {backend.name}")]

        return make

    peers = [
        Peer("cuDNN", sdpa("cuDNN", SDPBackend.CUDNN_ATTENTION)),
        Peer("flash", sdpa("flash", SDPBackend.FLASH_ATTENTION)),
        Peer("Mosaic", lambda: mosaic.attention(inputs, causal, protocol)),
    ]
    # A row is a mean over many keys, small beside its rounded weights.
    return Setup(inputs, peers, check, 1e-2)
