"""Tricot in torch: ops with autograd, and a ``torch.compile`` backend.

    >>> import torch, tricot.torch
    >>> out = tricot.torch.trilinear_attention(q, k1, k2, v1, v2, w1=512, w2=32)
    >>> model = torch.compile(model, backend="tricot")
    >>> print(tricot.torch.reports()[-1])     # what was left to eager, and why
"""

from ._backend import Report, backend, reports
from ._ops import conv2d, sparse24_compress, sparse24_linear, srelu_ffn24, trilinear_attention

__all__ = [
    "Report",
    "backend",
    "conv2d",
    "reports",
    "sparse24_compress",
    "sparse24_linear",
    "srelu_ffn24",
    "trilinear_attention",
]
