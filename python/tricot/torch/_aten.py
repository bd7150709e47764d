"""ATen ops as Tricot's: one function an op, by the schema's argument names (`self` is called `x`).

The central names are :data:`TABLE` and :func:`lower`. A lowering that cannot take its arguments raises :class:`Unsupported` with
the reason, which is what the user is told. Knows no partition and no autograd.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import Node

from .. import _native
from .. import graph as G
from .._error import Error
from . import _ops
from ._run import DTYPES

aten = torch.ops.aten
Value = _native.Value


class Unsupported(Exception):
    """An op or arguments that stay in eager; the text is the reason."""


class Call:
    """One node on its way into a graph: the graph, and what torch says about the result."""

    def __init__(self, graph: _native.Graph, node: Node) -> None:
        self.g, self.node = graph, node
        meta = node.meta["val"]
        self.meta = meta[0] if isinstance(meta, (tuple, list)) else meta

    @property
    def dtype(self) -> str:
        """Element type of the (first) result."""
        return DTYPES[self.meta.dtype]

    @property
    def shape(self) -> list[int]:
        """Shape of the (first) result."""
        return list(self.meta.shape)

    def cast(self, value: Value, dtype: str) -> Value:
        return value if value.dtype == dtype else G.cast(self.g, value, dtype)

    def of(self, value: Any, dtype: str) -> Value:
        """A tensor or a number as a value of this element type."""
        if isinstance(value, Value):
            return self.cast(value, dtype)
        if isinstance(value, (bool, int, float)):
            scalar = self.g.scalar(float(value), "i64" if dtype == "bool" else dtype)
            return self.cast(scalar, dtype)
        raise Unsupported(f"an operand of type {type(value).__name__}")

    def full(self, value: Any, dtype: str, shape: Sequence[int]) -> Value:
        return self.g.broadcast_to(self.of(value, dtype), list(shape))

    def map(self, function: str, *values: Any, dtype: str | None = None) -> Value:
        """A scalar function on operands of one element type, by default the result's; result in the result's."""
        dtype = dtype or self.dtype
        return self.cast(self.g.map(function, *(self.of(v, dtype) for v in values)), self.dtype)


TABLE: dict[Any, Callable[..., Any]] = {}
#: Ops that move or name data; a subgraph of nothing else is left alone.
MOVES: set[Any] = set()


def takes(*packets: Any, moves: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for packet in packets:
            TABLE[packet] = function
            if moves:
                MOVES.add(packet)
        return function

    return register


def is_part(node: Node) -> bool:
    """Whether the node takes a part of a tuple."""
    return node.op == "call_function" and node.target is operator.getitem


def computes(node: Node) -> bool:
    return not is_part(node) and getattr(node.target, "overloadpacket", None) not in MOVES


def lower(graph: _native.Graph, node: Node, env: dict[Node, Any]) -> Any:
    """The node's result as a value, or a tuple of them. Raises :class:`Unsupported` or ``tricot.Error``."""
    if is_part(node):
        return env[node.args[0]][node.args[1]]
    schema = node.target._schema
    given = {}
    for i, argument in enumerate(schema.arguments):
        value = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        name = "x" if argument.name == "self" else argument.name
        given[name] = torch.fx.node.map_arg(value, lambda n: env[n])
    return TABLE[node.target.overloadpacket](Call(graph, node), **given)


def why_not(node: Node) -> str | None:
    """Why the node stays in eager, found by lowering it alone; None if it need not."""
    if is_part(node):
        return None
    packet = getattr(node.target, "overloadpacket", None)
    if packet not in TABLE:
        return "Tricot has no lowering for it"
    values = [node.meta.get("val"), *(n.meta.get("val") for n in node.all_input_nodes)]
    flat = [v for value in values for v in (value if isinstance(value, (tuple, list)) else [value])]
    for value in flat:
        if value is None:
            continue
        if not isinstance(value, torch.Tensor):
            return f"a {type(value).__name__} among its values"
        if value.dtype not in DTYPES:
            return f"element type {value.dtype}"
        if value.device.type not in ("cpu", "cuda"):
            return f"device {value.device}"
        if value.layout != torch.strided:
            return f"layout {value.layout}"
        if not all(isinstance(d, int) for d in value.shape):
            return "symbolic sizes"
    trial = _native.Graph("trial")
    env: dict[Node, Any] = {}
    for i, operand in enumerate(node.all_input_nodes):
        value = operand.meta["val"]
        if isinstance(value, (tuple, list)):
            return "a tuple as an operand"
        env[operand] = trial.input(f"x{i}", DTYPES[value.dtype], list(value.shape))
    try:
        lower(trial, node, env)
    except Unsupported as reason:
        return str(reason)
    except Error as problem:
        return f"{problem.code} {problem.diagnostics[0].message}"
    return None


# Scalar functions.

for _name, _function in {
    "neg": "neg", "abs": "abs", "sign": "sign", "floor": "floor", "ceil": "ceil", "round": "round", "trunc": "trunc",
    "sqrt": "sqrt", "rsqrt": "rsqrt", "reciprocal": "recip", "exp": "exp", "exp2": "exp2", "expm1": "expm1", "log": "log",
    "log2": "log2", "log1p": "log1p", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "asin", "acos": "acos", "atan": "atan",
    "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "erf": "erf", "relu": "relu", "square": "square", "sigmoid": "sigmoid",
}.items():  # fmt: skip
    takes(getattr(aten, _name))(lambda c, x, _f=_function: c.map(_f, x))

for _name, _function in {
    "mul": "mul", "maximum": "max", "minimum": "min", "pow": "pow", "bitwise_and": "and", "bitwise_or": "or",
    "bitwise_xor": "xor", "atan2": "atan2",
}.items():  # fmt: skip

    @takes(getattr(aten, _name))
    def _binary(c, x, other=None, exponent=None, _f=_function):
        if exponent == 2:
            return c.map("square", x)
        return c.map(_f, x, exponent if other is None else other)


@takes(aten.add)
def _add(c, x, other, alpha=1):
    return c.map("add", x, other if alpha == 1 else c.map("mul", other, alpha))


@takes(aten.sub)
def _sub(c, x, other, alpha=1):
    return c.map("sub", x, other if alpha == 1 else c.map("mul", other, alpha))


@takes(aten.div)
def _div(c, x, other, rounding_mode=None):
    if rounding_mode is None:
        return c.map("div", x, other)
    if rounding_mode == "floor":
        return c.map("floor_div", x, other)
    raise Unsupported(f"rounding mode {rounding_mode}")


def _common(x, other) -> str:
    """The element type in which torch compares."""
    back = {name: dtype for dtype, name in DTYPES.items()}
    a = back[x.dtype]
    if isinstance(other, Value):
        return DTYPES[torch.promote_types(a, back[other.dtype])]
    return DTYPES[torch.result_type(torch.empty(1, dtype=a), other)]


for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    takes(getattr(aten, _name))(lambda c, x, other, _f=_name: c.g.map(_f, *(c.of(v, _common(x, other)) for v in (x, other))))

for _name, _function in {"logical_and": "and", "logical_or": "or", "logical_xor": "xor"}.items():
    takes(getattr(aten, _name))(lambda c, x, other, _f=_function: c.map(_f, x, other, dtype="bool"))

takes(aten.logical_not)(lambda c, x: c.map("not", x, dtype="bool"))
takes(aten.bitwise_not)(lambda c, x: c.map("not" if x.dtype == "bool" else "bit_not", x))
takes(aten.isnan)(lambda c, x: c.g.map("is_nan", x))
takes(aten.isinf)(lambda c, x: c.g.map("is_inf", x))
takes(aten.silu)(lambda c, x: c.g.op("nn.silu", x))


@takes(aten.gelu)
def _gelu(c, x, approximate="none"):
    return c.g.op("nn.gelu", x, approximate=approximate)


@takes(aten.leaky_relu)
def _leaky_relu(c, x, negative_slope=0.01):
    return c.g.op("nn.leaky_relu", x, alpha=negative_slope)


@takes(aten.clamp)
def _clamp(c, x, min=None, max=None):
    value = c.of(x, c.dtype)
    value = value if min is None else c.map("max", value, min)
    return value if max is None else c.map("min", value, max)


@takes(aten.threshold_backward)
def _threshold_backward(c, grad_output, x, threshold):
    above = c.g.map("gt", x, c.of(threshold, x.dtype))
    return c.g.op("core.select", above, grad_output, c.full(0, c.dtype, c.shape))


@takes(aten.where)
def _where(c, condition, x=None, other=None):
    if x is None:
        raise Unsupported("a result whose size depends on the data")
    parts = (c.of(condition, "bool"), c.of(x, c.dtype), c.of(other, c.dtype))
    return c.g.op("core.select", *(c.g.broadcast_to(p, c.shape) for p in parts))


@takes(aten.masked_fill)
def _masked_fill(c, x, mask, value):
    return _where(c, mask, value, x)


@takes(aten._to_copy, aten.to, torch.ops.prims.convert_element_type)
def _to_copy(c, x=None, a=None, **_):
    return c.cast(a if x is None else x, c.dtype)


# Products.


def _einsum(c, spec, *values):
    return G.einsum(c.g, spec, *values, dtype=c.dtype)


takes(aten.mm)(lambda c, x, mat2, **_: _einsum(c, "ij,jk->ik", x, mat2))
takes(aten.bmm)(lambda c, x, mat2, **_: _einsum(c, "bij,bjk->bik", x, mat2))


@takes(aten.addmm)
def _addmm(c, x, mat1, mat2, beta=1, alpha=1):
    if beta != 1 or alpha != 1:
        raise Unsupported(f"beta {beta} and alpha {alpha}")
    return c.map("add", _einsum(c, "ij,jk->ik", mat1, mat2), x)


@takes(aten.convolution)
def _convolution(c, input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    if transposed or len(weight.shape) != 4:
        raise Unsupported("transposed convolution" if transposed else f"a convolution over {len(weight.shape) - 2} axes")
    y = _ops.build_conv2d(c.g, input, weight, *(_pair(v) for v in (stride, padding, dilation)), groups)
    return y if bias is None else c.map("add", y, G.reshape(c.g, bias, [bias.shape[0], 1, 1]))


@takes(aten.convolution_backward)
def _convolution_backward(
    c, grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, output_mask
):
    if transposed or len(weight.shape) != 4:
        raise Unsupported("transposed convolution" if transposed else f"a convolution over {len(weight.shape) - 2} axes")
    y = _ops.build_conv2d(c.g, input, weight, *(_pair(v) for v in (stride, padding, dilation)), groups)
    dx, dw = c.g.gradient([(y, grad_output)], [input, weight])
    db = c.g.op("core.reduce", grad_output, kind="sum", axes=[0, 2, 3]) if output_mask[2] else None
    return tuple(v if wanted else None for v, wanted in zip((dx, dw, db), output_mask))


def _pair(values: Sequence[int]) -> list[int]:
    return [values[0], values[0]] if len(values) == 1 else list(values)


# Shapes.


@takes(aten.view, aten.reshape, aten._unsafe_view, aten.unsqueeze, aten.squeeze, aten.flatten, moves=True)
def _view(c, x, **_):
    return x if list(x.shape) == c.shape else G.reshape(c.g, x, c.shape)


@takes(aten.clone, aten.detach, aten.alias, aten.contiguous, aten.lift_fresh_copy, moves=True)
def _same(c, x, **_):
    return x


@takes(aten.permute, moves=True)
def _permute(c, x, dims):
    return G.transpose(c.g, x, [d % len(x.shape) for d in dims])


@takes(aten.transpose, moves=True)
def _transpose(c, x, dim0, dim1):
    perm = list(range(len(x.shape)))
    perm[dim0], perm[dim1] = perm[dim1], perm[dim0]
    return G.transpose(c.g, x, perm)


@takes(aten.t, moves=True)
def _t(c, x):
    return G.transpose(c.g, x, list(range(len(x.shape)))[::-1])


@takes(aten.expand, moves=True)
def _expand(c, x, **_):
    return c.g.broadcast_to(x, c.shape)


@takes(aten.slice, moves=True)
def _slice(c, x, dim=0, start=None, end=None, step=1):
    return _cut(c, x, dim % len(x.shape), _position(start, x.shape[dim], 0), step, c.shape[dim])


@takes(aten.select, moves=True)
def _select(c, x, dim, index):
    dim %= len(x.shape)
    return G.reshape(c.g, _cut(c, x, dim, index % x.shape[dim], 1, 1), c.shape)


def _position(at: int | None, size: int, default: int) -> int:
    at = default if at is None else at
    return min(max(at + size if at < 0 else at, 0), size)


def _cut(c, x, dim, start, step, size):
    starts, sizes, steps = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    starts[dim], sizes[dim], steps[dim] = start, size, step
    return c.g.op("core.slice", x, start=starts, size=sizes, step=steps)


@takes(aten.split_with_sizes, moves=True)
def _split_with_sizes(c, x, split_sizes, dim=0):
    dim, start, parts = dim % len(x.shape), 0, []
    for size in split_sizes:
        parts.append(_cut(c, x, dim, start, 1, size))
        start += size
    return tuple(parts)


@takes(aten.cat, moves=True)
def _cat(c, tensors, dim=0):
    # torch lets empty vectors pass.
    parts = [c.of(t, c.dtype) for t in tensors if list(t.shape) != [0]]
    return c.g.op("core.concat", *parts, axis=dim % len(c.shape))


@takes(aten.constant_pad_nd)
def _constant_pad_nd(c, x, pad, value=0):
    low, high = [0] * len(x.shape), [0] * len(x.shape)
    for i in range(len(pad) // 2):
        low[-1 - i], high[-1 - i] = pad[2 * i], pad[2 * i + 1]
    if min(low + high) < 0:
        raise Unsupported("negative padding")
    return c.g.op("core.pad", x, c.of(value, x.dtype), low=low, high=high, interior=[0] * len(low))


# New tensors.


@takes(aten.full, aten.full_like, aten.scalar_tensor, aten.new_full, moves=True)
def _full(c, fill_value=None, s=None, **_):
    return c.full(s if fill_value is None else fill_value, c.dtype, c.shape)


takes(aten.zeros, aten.zeros_like, aten.new_zeros, moves=True)(lambda c, **_: c.full(0, c.dtype, c.shape))
takes(aten.ones, aten.ones_like, aten.new_ones, moves=True)(lambda c, **_: c.full(1, c.dtype, c.shape))


@takes(aten.arange, moves=True)
def _arange(c, start=0, end=None, step=1, **_):
    at = c.g.op("core.iota", dtype=c.dtype, shape=c.shape, axis=0)
    at = at if step == 1 else c.map("mul", at, step)
    return at if start == 0 else c.map("add", at, start)


@takes(torch.ops.prims.iota, moves=True)
def _iota(c, length, start=0, step=1, **_):
    return _arange(c, start=start, step=step)


# Reductions and normalisation.


def _axes(dim: Any, rank: int) -> list[int]:
    if dim is None or dim == []:
        return list(range(rank))
    return sorted({d % rank for d in ([dim] if isinstance(dim, int) else dim)} if rank else set())


def _fold(c, kind, x, dim, keepdim=False):
    axes = _axes(dim, len(x.shape))
    value = c.g.op("core.reduce", x, kind=kind, axes=axes) if axes else x
    return value if list(value.shape) == c.shape else G.reshape(c.g, value, c.shape)


@takes(aten.sum)
def _sum(c, x, dim=None, keepdim=False, dtype=None):
    return _fold(c, "sum", c.of(x, c.dtype), dim, keepdim)


@takes(aten.mean)
def _mean(c, x, dim=None, keepdim=False, dtype=None):
    count = math.prod(x.shape[a] for a in _axes(dim, len(x.shape)))
    # The sum of 16-bit numbers may overflow where their mean does not.
    wide = "f32" if c.dtype in ("f16", "bf16") else c.dtype
    total = _fold(c, "sum", c.of(x, wide), dim, keepdim)
    return c.cast(total * (1.0 / max(count, 1)), c.dtype)


takes(aten.amax)(lambda c, x, dim=None, keepdim=False: _fold(c, "max", x, dim))
takes(aten.amin)(lambda c, x, dim=None, keepdim=False: _fold(c, "min", x, dim))
takes(aten.prod)(lambda c, x, dim=None, keepdim=False, dtype=None: _fold(c, "prod", c.of(x, c.dtype), dim))


@takes(aten.any)
def _any(c, x, dim=None, keepdim=False):
    return _fold(c, "or", c.of(x, "bool"), dim)


@takes(aten.cumsum)
def _cumsum(c, x, dim, dtype=None):
    return c.g.op("core.scan", c.of(x, c.dtype), kind="sum", axis=dim % len(x.shape))


@takes(aten._softmax)
def _softmax(c, x, dim, half_to_float):
    return c.g.op("nn.softmax", c.of(x, c.dtype), axis=dim % len(x.shape))


@takes(aten._log_softmax)
def _log_softmax(c, x, dim, half_to_float):
    return c.g.op("nn.log_softmax", c.of(x, c.dtype), axis=dim % len(x.shape))


def _unused(c, *results: int) -> None:
    """Refuses a node of whose results one is used that Tricot does not make."""
    for user in c.node.users:
        if is_part(user) and user.args[1] in results and user.users:
            raise Unsupported(f"its result {user.args[1]} is used")


@takes(aten._native_batch_norm_legit_no_training)
def _batch_norm(c, input, weight, bias, running_mean, running_var, momentum, eps):
    _unused(c, 1, 2)
    channels = [input.shape[1]]
    weight = c.full(1, c.dtype, channels) if weight is None else weight
    bias = c.full(0, c.dtype, channels) if bias is None else bias
    y = c.g.op("nn.batch_norm", input, weight, bias, running_mean, running_var, epsilon=eps)
    return y, None, None


@takes(aten.native_layer_norm)
def _layer_norm(c, input, normalized_shape, weight, bias, eps):
    _unused(c, 1, 2)
    weight = c.full(1, c.dtype, normalized_shape) if weight is None else weight
    operands = [input, weight] + ([] if bias is None else [bias])
    y = c.g.op("nn.layer_norm", *operands, axis=len(input.shape) - len(normalized_shape), epsilon=eps)
    return y, None, None


# Pools, tables, Tricot's own.


@takes(aten.max_pool2d_with_indices)
def _max_pool2d(c, x, kernel_size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False):
    _unused(c, 1)
    if ceil_mode or len(x.shape) != 4:
        raise Unsupported("ceil_mode" if ceil_mode else "a pool without a batch axis")
    size = _pair(kernel_size)
    top, left = _pair(padding)
    how = {"stride": _pair(stride) if stride else size, "pad": [top, left, top, left], "dilation": _pair(dilation)}
    return c.g.op("nn.max_pool2d", x, size=size, **how), None


@takes(aten.avg_pool2d)
def _avg_pool2d(c, x, kernel_size, stride=(), padding=(0,), ceil_mode=False, count_include_pad=True, divisor_override=None):
    if ceil_mode or divisor_override is not None or len(x.shape) != 4:
        raise Unsupported("ceil_mode, a divisor of its own or no batch axis")
    size = _pair(kernel_size)
    top, left = _pair(padding)
    how = {"stride": _pair(stride) if stride else size, "pad": [top, left, top, left], "count_pad": count_include_pad}
    return c.g.op("nn.avg_pool2d", x, size=size, **how)


@takes(aten._adaptive_avg_pool2d)
def _adaptive_avg_pool2d(c, x, output_size):
    if list(output_size) != [1, 1]:
        raise Unsupported(f"output size {list(output_size)}")
    return _mean(c, x, dim=[-2, -1], keepdim=True)


@takes(aten.embedding)
def _embedding(c, weight, indices, padding_idx=-1, **_):
    return c.g.op("core.gather", weight, indices, axis=0)


@takes(torch.ops.tricot.trilinear_attention)
def _trilinear(c, q, k1, k2, v1, v2, **attributes):
    return c.g.op("trilinear.attention", q, k1, k2, v1, v2, **attributes)


@takes(torch.ops.tricot.trilinear_attention_backward)
def _trilinear_backward(c, q, k1, k2, v1, v2, out, lse, dout, **attributes):
    return c.g.op("trilinear.attention_backward", q, k1, k2, v1, v2, out, lse, dout, **attributes)


takes(torch.ops.tricot.sparse24_linear)(lambda c, x, values, meta: _ops.build_sparse24_linear(c.g, x, values, meta))
takes(torch.ops.tricot.srelu_ffn24)(lambda c, x, up, down: _ops.build_srelu_ffn24(c.g, x, up, down))


@takes(torch.ops.tricot.conv2d)
def _conv2d(c, x, weight, stride, padding, dilation, groups):
    return _ops.build_conv2d(c.g, x, weight, stride, padding, dilation, groups)
