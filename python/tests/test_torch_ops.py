"""Ops of `tricot.torch` on the CPU: values and gradients against plain torch in float64, fake kernels, export."""

import pytest

torch = pytest.importorskip("torch")

import tricot  # noqa: E402
import tricot.torch as tt  # noqa: E402

F = torch.nn.functional


def _error(got, expected) -> float:
    got, expected = got.detach().double(), expected.detach().double()
    assert got.shape == expected.shape
    return float((got - expected).norm() / expected.norm()) if torch.isfinite(got).all() else float("inf")


def _randn(*shape, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def _trilinear(q, k1, k2, v1, v2, w1, w2, scale):
    repeat = q.shape[2] // k1.shape[2]
    k1, k2, v1, v2 = (t.repeat_interleave(repeat, dim=2) for t in (k1, k2, v1, v2))
    x = torch.einsum("bihd,bjhd,bkhd->bhijk", q, k1, k2) * scale
    at = torch.arange(q.shape[1])
    distance = at[:, None] - at[None, :]
    near = [(distance >= 0) & (distance < w) for w in (w1, w2)]
    x = x.masked_fill(~(near[0][:, :, None] & near[1][:, None, :]), float("-inf")).flatten(-2)
    p = x.softmax(-1).unflatten(-1, (q.shape[1], q.shape[1]))
    return torch.einsum("bhijk,bjhd,bkhd->bihd", p, v1, v2), x.logsumexp(-1)


@pytest.fixture(scope="module")
def five():
    """q and k scaled for logits with a standard deviation near 1.5."""
    shapes = [(2, 12, 4, 8), (2, 12, 2, 8), (2, 12, 2, 8), (2, 12, 2, 6), (2, 12, 2, 6)]
    return [_randn(*s, seed=i) * (1.6 if i < 3 else 1.0) for i, s in enumerate(shapes)]


def _gradients(function, operands, dtype=None):
    leaves = [t.detach().to(dtype or t.dtype).requires_grad_() for t in operands]
    y = function(*leaves)
    y.backward(_randn(*y.shape, seed=99, dtype=torch.float64).to(y.dtype))
    return y, [t.grad for t in leaves]


def test_trilinear_attention_with_gradients(five):
    scale = 8**-0.5
    y, gradients = _gradients(lambda *t: tt.trilinear_attention(*t, w1=5, w2=3), five)
    expected, wanted = _gradients(lambda *t: _trilinear(*t, 5, 3, scale)[0], five, torch.float64)
    assert _error(y, expected) < 1e-5
    for gradient, want in zip(gradients, wanted):
        assert _error(gradient, want) < 2e-5
    _, lse = tt.trilinear_attention(*five, w1=5, w2=3, return_lse=True)
    assert _error(lse, _trilinear(*(t.double() for t in five), 5, 3, scale)[1]) < 1e-5


def test_bf16_trilinear_attention(five):
    narrow = [t.bfloat16() for t in five]
    y = tt.trilinear_attention(*narrow, w1=5, w2=3)
    expected = _trilinear(*(t.double() for t in narrow), 5, 3, 8**-0.5)[0]
    assert y.dtype == torch.bfloat16 and _error(y, expected) < 6e-3


@pytest.mark.parametrize("shape", [(3, 16), (2, 5, 16)])
def test_sparse24_linear(shape):
    weight, x = _randn(24, 16, seed=1), _randn(*shape, seed=2)
    values, meta = tt.sparse24_compress(weight)
    groups = weight.unflatten(-1, (-1, 4))
    keep = torch.zeros_like(groups, dtype=torch.bool).scatter(-1, groups.abs().topk(2).indices, True)
    pruned = torch.where(keep, groups, 0.0).flatten(-2).double()
    y, (dx,) = _gradients(lambda x: tt.sparse24_linear(x, values, meta), [x])
    expected, (want,) = _gradients(lambda x: x @ pruned.T, [x], torch.float64)
    assert _error(y, expected) < 1e-5 and _error(dx, want) < 1e-5


def test_srelu_ffn24_with_gradients():
    operands = [_randn(6, 16, seed=3), _randn(32, 16, seed=4), _randn(16, 32, seed=5)]

    def reference(x, up, down):
        h = torch.relu(x @ up.T).square()
        groups = h.unflatten(-1, (-1, 4))
        # A stable order: ties, which zeros make often, go to the lower index.
        order = torch.sort(groups.detach(), stable=True, dim=-1, descending=True).indices[..., :2]
        keep = torch.zeros_like(groups, dtype=torch.bool).scatter(-1, order, True)
        return torch.where(keep, groups, 0.0).flatten(-2) @ down.T

    y, gradients = _gradients(tt.srelu_ffn24, operands)
    expected, wanted = _gradients(reference, operands, torch.float64)
    assert _error(y, expected) < 1e-5
    for gradient, want in zip(gradients, wanted):
        assert _error(gradient, want) < 1e-5


@pytest.mark.parametrize("how", [{}, {"padding": 1}, {"stride": 2, "padding": (1, 0)}, {"dilation": 2}, {"groups": 2}])
def test_conv2d_with_gradients(how):
    operands = [_randn(2, 4, 9, 8, seed=6), _randn(6, 4 // how.get("groups", 1), 3, 3, seed=7), _randn(6, seed=8)]
    y, gradients = _gradients(lambda x, w, b: tt.conv2d(x, w, b, **how), operands)
    expected, wanted = _gradients(lambda x, w, b: F.conv2d(x, w, b, **how), operands, torch.float64)
    assert _error(y, expected) < 1e-5
    for gradient, want in zip(gradients, wanted):
        assert _error(gradient, want) < 1e-5


def test_torch_checks_the_ops(five):
    """Schemas, fake kernels and autograd registrations, as torch itself tests them."""
    weight = _randn(8, 16, seed=1)
    values, meta = tt.sparse24_compress(weight)
    ops = torch.ops.tricot
    leaves = [t.clone().requires_grad_() for t in five]
    samples = [
        (ops.trilinear_attention, (*leaves, 5, 3, 0.25, 0.0, 0.0)),
        (ops.sparse24_linear, (_randn(3, 16).requires_grad_(), values, meta)),
        (ops.srelu_ffn24, tuple(_randn(*s).requires_grad_() for s in [(6, 16), (32, 16), (16, 32)])),
        (ops.conv2d, (_randn(1, 4, 6, 6).requires_grad_(), _randn(2, 4, 3, 3).requires_grad_(), [1, 1], [1, 1], [1, 1], 1)),
    ]
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    for op, arguments in samples:
        torch.library.opcheck(op.default, arguments, test_utils=checks)


def test_export_keeps_the_op(five):
    class Attention(torch.nn.Module):
        def forward(self, q, k1, k2, v1, v2):
            return tt.trilinear_attention(q, k1, k2, v1, v2, w1=5, w2=3)

    program = torch.export.export(Attention(), tuple(five))
    assert "tricot.trilinear_attention" in str(program.graph)
    assert torch.equal(program.module()(*five), Attention()(*five))


def test_strided_tensors_and_wrong_arguments(five):
    q = five[0].transpose(0, 1).contiguous().transpose(0, 1)
    assert not q.is_contiguous()
    assert torch.equal(tt.trilinear_attention(q, *five[1:], w1=5, w2=3), tt.trilinear_attention(*five, w1=5, w2=3))
    with pytest.raises(tricot.Error) as caught:
        tt.trilinear_attention(*five, w1=0, w2=3)
    assert caught.value.code == "TC0110"


def test_modules_take_torch_tensors_of_any_dtype():
    g = tricot.Graph("bf16")
    g.output("y", g.op("core.cast", g.input("x", "f32", ["n"]), to="bf16"))
    x = _randn(7)
    y = tricot.compile(g)(x)
    assert y.dtype == torch.bfloat16 and torch.equal(y, x.bfloat16())
    with pytest.raises(tricot.Error) as caught:
        tricot.compile(g)(x.clone().requires_grad_())
    assert caught.value.code == "TC0840" and "detach" in str(caught.value)


def test_modules_are_compiled_from_torch_modules():
    pytest.importorskip("onnxscript")
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4)).eval()
    x = _randn(3, 8)
    for source in (model, torch.export.export(model, (x,))):
        module = tricot.compile(source, example_inputs=(x,))
        assert _error(module(x), model(x)) < 1e-5
    with pytest.raises(tricot.Error) as caught:
        tricot.compile(model)
    assert caught.value.code == "TC0901"
