#!/usr/bin/env python3
"""Exports one 2-simplicial Transformer block (arXiv 2507.02754) as plain ONNX.

The block is written the naive way, as one would on paper: full three-way logits, two boolean windows, one softmax over the
(j, k) plane. Nothing in the file names trilinear attention; finding it is the compiler's work.

    python3 export.py block.onnx --windows 24 8 --length 96 --heads 4 --kv-heads 2 --head-dim 32 --dtype bf16

Needs torch (>= 2.6) and onnx. The input `x` and the output `y` are float32; everything between is of --dtype.
"""

import argparse
import math

import torch
from torch import nn


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(1.0 + 0.1 * torch.randn(width))

    def forward(self, x):
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype) * self.weight


class Linear(nn.Module):
    def __init__(self, inputs, outputs, gain=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs) * gain / math.sqrt(inputs))

    def forward(self, x):
        return torch.matmul(x, self.weight)


class SimplexBlock(nn.Module):
    def __init__(self, width, heads, kv_heads, head_dim, windows, ffn):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim, self.windows = heads, kv_heads, head_dim, windows
        self.attention_norm, self.ffn_norm = RMSNorm(width), RMSNorm(width)
        # Gains that give logits a standard deviation near 1.5: smaller ones hide errors of scale and masks.
        self.q = Linear(width, heads * head_dim, gain=1.5)
        self.k1, self.k2 = (Linear(width, kv_heads * head_dim) for _ in range(2))
        self.v1, self.v2 = (Linear(width, kv_heads * head_dim) for _ in range(2))
        self.out = Linear(heads * head_dim, width)
        self.up, self.down = Linear(width, ffn), Linear(ffn, width)

    def split(self, x, heads):
        return x.reshape(x.shape[0], x.shape[1], heads, self.head_dim)

    def attention(self, x):
        q = self.split(self.q(x), self.heads)
        repeat = self.heads // self.kv_heads
        k1, k2, v1, v2 = (
            self.split(project(x), self.kv_heads).repeat_interleave(repeat, dim=2)
            for project in (self.k1, self.k2, self.v1, self.v2)
        )
        logits = torch.einsum("bihd,bjhd,bkhd->bhijk", q, k1, k2) * self.head_dim**-0.5
        at = torch.arange(x.shape[1], device=x.device)
        distance = at[:, None] - at[None, :]
        near = [(distance >= 0) & (distance < w) for w in self.windows]
        allowed = near[0][:, :, None] & near[1][:, None, :]
        logits = logits.float().masked_fill(~allowed, float("-inf"))
        weights = torch.softmax(logits.flatten(-2), dim=-1).reshape(logits.shape).to(x.dtype)
        mixed = torch.einsum("bhijk,bjhd,bkhd->bihd", weights, v1, v2)
        return self.out(mixed.reshape(x.shape[0], x.shape[1], -1))

    def forward(self, x):
        dtype = self.q.weight.dtype
        h = x.to(dtype)
        h = h + self.attention(self.attention_norm(h))
        h = h + self.down(torch.relu(self.up(self.ffn_norm(h))).square())
        return h.float()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--windows", type=int, nargs=2, default=(24, 8))
    parser.add_argument("--length", type=int, default=96)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--kv-heads", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=32)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--ffn", type=int, default=256)
    parser.add_argument("--dtype", choices=["f32", "f16", "bf16"], default="bf16")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dynamic-batch", action="store_true", help="make the batch a symbol")
    parser.add_argument("--dynamo", action="store_true", help="use the torch.export-based exporter")
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[a.dtype]
    blocks = [
        SimplexBlock(a.width, a.heads, a.kv_heads, a.head_dim, tuple(a.windows), a.ffn) for _ in range(a.layers)
    ]
    model = nn.Sequential(*blocks).to(dtype).eval()
    x = torch.randn(a.batch, a.length, a.width)
    names = {"input_names": ["x"], "output_names": ["y"]}
    if a.dynamo:
        shapes = {"input": {0: torch.export.Dim("batch", min=1, max=64)}} if a.dynamic_batch else None
        torch.onnx.export(model, (x,), a.output, dynamo=True, external_data=False, dynamic_shapes=shapes, **names)
    else:
        axes = {"x": {0: "batch"}, "y": {0: "batch"}} if a.dynamic_batch else None
        torch.onnx.export(model, (x,), a.output, dynamo=False, opset_version=17, dynamic_axes=axes, **names)


if __name__ == "__main__":
    main()
