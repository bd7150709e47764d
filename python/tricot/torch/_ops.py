"""Tricot's own ops as ``torch.library`` ops: CPU and CUDA kernels, fake kernels, and autograd where a backward exists.

Every op compiles a small graph for the shapes it meets, once. ``torch.compile`` and ``torch.export`` take the ops as they are; the
backend ``tricot`` fuses them with their neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .. import graph as _graph
from ._run import run

_FIVE = ("q", "k1", "k2", "v1", "v2")


# Trilinear attention.


def trilinear_attention(
    q: Tensor,
    k1: Tensor,
    k2: Tensor,
    v1: Tensor,
    v2: Tensor,
    w1: int,
    w2: int,
    scale: float | None = None,
    k2_bias: float = 0.0,
    v2_bias: float = 0.0,
    return_lse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Causal attention over pairs of keys in two windows (2-simplicial attention, arXiv 2507.02754).

    For ``i - w1 < j <= i`` and ``i - w2 < k <= i``, the logit is ``scale * sum_d q[i] k1[j] (k2[k] + k2_bias)``; its softmax over the
    pairs weighs ``v1[j] * (v2[k] + v2_bias)``.

    Args:
        q: [batch, length, heads, d], a float dtype.
        k1, k2: [batch, length, groups, d], the same dtype; ``groups`` divides ``heads``.
        v1, v2: [batch, length, groups, e], the same dtype.
        w1, w2: windows, at least 1, the position itself included.
        scale: factor of the logits, ``d ** -0.5`` by default.
        return_lse: return the logarithm of the softmax denominators too, f32 [batch, heads, length], without gradient.

    Returns:
        [batch, length, heads, e], the dtype of ``q``.
    """
    scale = float(q.shape[-1] ** -0.5 if scale is None else scale)
    out, lse = torch.ops.tricot.trilinear_attention(q, k1, k2, v1, v2, w1, w2, scale, k2_bias, v2_bias)
    return (out, lse) if return_lse else out


@torch.library.custom_op("tricot::trilinear_attention", mutates_args=())
def _trilinear(
    q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor,
    w1: int, w2: int, scale: float, k2_bias: float, v2_bias: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    attributes = {"w1": w1, "w2": w2, "scale": scale, "k2_bias": k2_bias, "v2_bias": v2_bias}

    def build(g, *inputs):
        out, lse = g.op("trilinear.attention", *inputs, **attributes)
        g.output("out", out)
        g.output("lse", lse)

    return run(("trilinear_attention", *attributes.values()), build, q, k1, k2, v1, v2)


@_trilinear.register_fake
def _(q, k1, k2, v1, v2, w1, w2, scale, k2_bias, v2_bias):
    batch, length, heads, _ = q.shape
    out = q.new_empty(batch, length, heads, v1.shape[3])
    return out, q.new_empty(batch, heads, length, dtype=torch.float32)


@torch.library.custom_op("tricot::trilinear_attention_backward", mutates_args=())
def _trilinear_backward(
    q: Tensor, k1: Tensor, k2: Tensor, v1: Tensor, v2: Tensor, out: Tensor, lse: Tensor, dout: Tensor,
    w1: int, w2: int, scale: float, k2_bias: float, v2_bias: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    attributes = {"w1": w1, "w2": w2, "scale": scale, "k2_bias": k2_bias, "v2_bias": v2_bias}

    def build(g, *inputs):
        for name, value in zip(_FIVE, g.op("trilinear.attention_backward", *inputs, **attributes)):
            g.output(f"d{name}", value)

    key = ("trilinear_attention_backward", *attributes.values())
    return run(key, build, q, k1, k2, v1, v2, out, lse, dout)


@_trilinear_backward.register_fake
def _(q, k1, k2, v1, v2, out, lse, dout, w1, w2, scale, k2_bias, v2_bias):
    return tuple(t.new_empty(t.shape) for t in (q, k1, k2, v1, v2))


def _trilinear_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:5], *output)
    ctx.attributes = inputs[5:]
    ctx.mark_non_differentiable(output[1])


def _trilinear_gradients(ctx, dout, _dlse):
    gradients = torch.ops.tricot.trilinear_attention_backward(*ctx.saved_tensors, dout, *ctx.attributes)
    return *gradients, None, None, None, None, None


_trilinear.register_autograd(_trilinear_gradients, setup_context=_trilinear_setup)


# 2:4 sparsity.


def sparse24_compress(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Keeps the two of every four neighbours along the last axis with the largest magnitude.

    Args:
        weight: [.., k], ``k`` a multiple of 8.

    Returns:
        values [.., k/2] in the dtype of ``weight``, and their positions, u8 [.., k/8].
    """
    return torch.ops.tricot.sparse24_compress(weight)


@torch.library.custom_op("tricot::sparse24_compress", mutates_args=())
def _compress(weight: Tensor) -> tuple[Tensor, Tensor]:
    axis = weight.dim() - 1

    def build(g, w):
        values, meta = g.op("sparse24.compress", w, axis=axis)
        g.output("values", values)
        g.output("meta", meta)

    return run(("sparse24_compress",), build, weight)


@_compress.register_fake
def _(weight):
    k = weight.shape[-1]
    return weight.new_empty(*weight.shape[:-1], k // 2), weight.new_empty(*weight.shape[:-1], k // 8, dtype=torch.uint8)


def sparse24_linear(x: Tensor, values: Tensor, meta: Tensor) -> Tensor:
    """``x @ W.T`` with a 2:4 sparse weight, stored as :func:`sparse24_compress` returns it.

    Args:
        x: [.., k], a float dtype.
        values: [n, k/2], the same dtype.
        meta: u8 [n, k/8].

    Returns:
        [.., n], the dtype of ``x``. The gradient reaches ``x``; compressed weights are constants.
    """
    return torch.ops.tricot.sparse24_linear(x, values, meta)


def build_sparse24_linear(g, x, values, meta):
    """The graph of :func:`sparse24_linear`: activations as columns, the sparse operand on the left."""
    rows, k = _rows(x.shape), x.shape[-1]
    columns = _graph.transpose(g, _graph.reshape(g, x, [rows, k]), [1, 0])
    y = _graph.transpose(g, g.op("sparse24.matmul", values, meta, columns, dtype=x.dtype), [1, 0])
    return _graph.reshape(g, y, [*x.shape[:-1], values.shape[0]])


@torch.library.custom_op("tricot::sparse24_linear", mutates_args=())
def _sparse24_linear(x: Tensor, values: Tensor, meta: Tensor) -> Tensor:
    build = lambda g, *inputs: g.output("y", build_sparse24_linear(g, *inputs))
    return run(("sparse24_linear",), build, x, values, meta)


@_sparse24_linear.register_fake
def _(x, values, meta):
    return x.new_empty(*x.shape[:-1], values.shape[0])


@torch.library.custom_op("tricot::sparse24_linear_backward", mutates_args=())
def _sparse24_linear_backward(dy: Tensor, values: Tensor, meta: Tensor) -> Tensor:
    def build(g, dy, values, meta):
        weight = g.op("sparse24.decompress", values, meta, axis=1)
        flat = _graph.reshape(g, dy, [_rows(dy.shape), dy.shape[-1]])
        dx = _graph.einsum(g, "rn,nk->rk", flat, weight)
        g.output("dx", _graph.reshape(g, dx, [*dy.shape[:-1], weight.shape[1]]))

    return run(("sparse24_linear_backward",), build, dy, values, meta)


@_sparse24_linear_backward.register_fake
def _(dy, values, meta):
    return dy.new_empty(*dy.shape[:-1], values.shape[1] * 2)


def _sparse24_linear_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[1:])


def _sparse24_linear_gradients(ctx, dy):
    return torch.ops.tricot.sparse24_linear_backward(dy, *ctx.saved_tensors), None, None


_sparse24_linear.register_autograd(_sparse24_linear_gradients, setup_context=_sparse24_linear_setup)


def srelu_ffn24(x: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """A squared-ReLU feed-forward network with 2:4 sparse activations (arXiv 2503.16672).

    ``h = relu(x @ up.T) ** 2``; of every four neighbours of ``h`` the two largest stay; ``y = h @ down.T``.

    Args:
        x: [.., d], a float dtype.
        up: [f, d], the same dtype, ``f`` a multiple of 8.
        down: [n, f], the same dtype.

    Returns:
        [.., n], the dtype of ``x``. Gradients reach all three; that of ``h`` passes where an element stayed.
    """
    return torch.ops.tricot.srelu_ffn24(x, up, down)


def build_srelu_ffn24(g, x, up, down):
    """The graph of :func:`srelu_ffn24`."""
    flat = _graph.reshape(g, x, [_rows(x.shape), x.shape[-1]])
    h = g.map("square", g.map("relu", _graph.einsum(g, "rd,fd->rf", flat, up)))
    y = _graph.einsum(g, "rf,nf->rn", g.op("sparse24.select", h, axis=1), down)
    return _graph.reshape(g, y, [*x.shape[:-1], down.shape[0]])


@torch.library.custom_op("tricot::srelu_ffn24", mutates_args=())
def _srelu_ffn24(x: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return run(("srelu_ffn24",), lambda g, *inputs: g.output("y", build_srelu_ffn24(g, *inputs)), x, up, down)


@_srelu_ffn24.register_fake
def _(x, up, down):
    return x.new_empty(*x.shape[:-1], down.shape[0])


@torch.library.custom_op("tricot::srelu_ffn24_backward", mutates_args=())
def _srelu_ffn24_backward(dy: Tensor, x: Tensor, up: Tensor, down: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return run(("srelu_ffn24_backward",), _gradients_of(build_srelu_ffn24), dy, x, up, down)


@_srelu_ffn24_backward.register_fake
def _(dy, x, up, down):
    return tuple(t.new_empty(t.shape) for t in (x, up, down))


def _save_all(ctx, inputs, output):
    ctx.save_for_backward(*inputs)


def _srelu_ffn24_gradients(ctx, dy):
    return torch.ops.tricot.srelu_ffn24_backward(dy, *ctx.saved_tensors)


_srelu_ffn24.register_autograd(_srelu_ffn24_gradients, setup_context=_save_all)


# Convolution.


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Two-dimensional convolution, as ``torch.nn.functional.conv2d``; through Winograd where that pays.

    Args:
        x: [n, c, h, w], a float dtype.
        weight: [f, c / groups, kh, kw], the same dtype.
        bias: [f], added after the convolution.
        stride, padding, dilation: a number, or one for each of the two axes.

    Returns:
        [n, f, oh, ow].
    """
    pair = lambda v: [v, v] if isinstance(v, int) else list(v)
    y = torch.ops.tricot.conv2d(x, weight, pair(stride), pair(padding), pair(dilation), groups)
    return y if bias is None else y + bias[:, None, None]


def build_conv2d(g, x, weight, stride, padding, dilation, groups):
    """The graph of :func:`conv2d` without its bias."""
    (top, left) = padding
    attributes = {"stride": list(stride), "pad": [top, left, top, left], "dilation": list(dilation), "groups": groups}
    return g.op("nn.conv2d", x, weight, **attributes)


@torch.library.custom_op("tricot::conv2d", mutates_args=())
def _conv2d(
    x: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Tensor:
    how = (tuple(stride), tuple(padding), tuple(dilation), groups)
    return run(("conv2d", *how), lambda g, x, w: g.output("y", build_conv2d(g, x, w, *how)), x, weight)


@_conv2d.register_fake
def _(x, weight, stride, padding, dilation, groups):
    kernel = weight.shape[2:]
    size = [
        (x.shape[2 + i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in range(2)
    ]
    return x.new_empty(x.shape[0], weight.shape[0], *size)


@torch.library.custom_op("tricot::conv2d_backward", mutates_args=())
def _conv2d_backward(
    dy: Tensor, x: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> tuple[Tensor, Tensor]:
    how = (tuple(stride), tuple(padding), tuple(dilation), groups)
    build = _gradients_of(lambda g, x, w: build_conv2d(g, x, w, *how))
    return run(("conv2d_backward", *how), build, dy, x, weight)


@_conv2d_backward.register_fake
def _(dy, x, weight, stride, padding, dilation, groups):
    return x.new_empty(x.shape), weight.new_empty(weight.shape)


def _conv2d_setup(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:2])
    ctx.how = inputs[2:]


def _conv2d_gradients(ctx, dy):
    return *torch.ops.tricot.conv2d_backward(dy, *ctx.saved_tensors, *ctx.how), None, None, None, None


_conv2d.register_autograd(_conv2d_gradients, setup_context=_conv2d_setup)


# What the ops share.


def _rows(shape: Sequence[int]) -> int:
    """Elements of all axes but the last."""
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return rows


def _gradients_of(forward):
    """A builder of the gradient of ``forward``: inputs are the result's gradient and the operands."""

    def build(g, dy, *operands):
        gradients = g.gradient([(forward(g, *operands), dy)], list(operands))
        for i, (gradient, operand) in enumerate(zip(gradients, operands)):
            g.output(f"d{i}", operand * 0.0 if gradient is None else gradient)

    return build
