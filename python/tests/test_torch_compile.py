"""`torch.compile(backend="tricot")` on the CPU: models against eager, training, sizes that change, what is left to eager."""

import logging

import pytest

torch = pytest.importorskip("torch")

import tricot.torch as tt  # noqa: E402
from conftest import simplex_block  # noqa: E402
from torch import nn  # noqa: E402


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    torch.manual_seed(5)


def _error(got, expected) -> float:
    got, expected = got.detach().double(), expected.detach().double()
    assert got.shape == expected.shape and got.shape.numel()
    return float((got - expected).norm() / expected.norm()) if torch.isfinite(got).all() else float("inf")


def _compile(model):
    return torch.compile(model, backend="tricot")


class Bottleneck(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        norm = nn.BatchNorm2d
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False), norm(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False), norm(width), nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1, bias=False), norm(4 * width),
        )  # fmt: skip
        self.skip = nn.Identity()
        if stride != 1 or inputs != 4 * width:
            self.skip = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), norm(4 * width))

    def forward(self, x):
        return torch.relu(self.body(x) + self.skip(x))


def resnet50() -> nn.Module:
    """ResNet-50 (arXiv 1512.03385) with random statistics in its normalisations."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for i, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for j in range(blocks):
            layers.append(Bottleneck(inputs, width, 2 if i > 0 and j == 0 else 1))
            inputs = 4 * width
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


@torch.no_grad()
def test_resnet50_matches_eager():
    model, x = resnet50(), torch.randn(1, 3, 64, 64)
    assert _error(_compile(model)(x), model(x)) < 2e-5
    report = tt.reports()[-1]
    assert len(report.subgraphs) == 1 and not report.left, str(report)


@torch.no_grad()
def test_the_simplex_block_matches_eager():
    block, x = simplex_block(torch, torch.float32)
    assert _error(_compile(block)(x), block(x)) < 1e-5
    report = tt.reports()[-1]
    assert len(report.subgraphs) == 1 and not report.left, str(report)


@torch.no_grad()
def test_the_simplex_block_in_bf16_is_as_near_to_float64_as_eager():
    block, x = simplex_block(torch, torch.bfloat16)
    got, eager = _compile(block)(x), block(x)
    exact = block.double()(x.double())
    assert _error(got, exact) < 1.3 * _error(eager, exact)


def test_training_gives_the_gradients_of_eager():
    block, x = simplex_block(torch, torch.float32)
    compiled = _compile(block)
    (compiled(x).square().mean()).backward()
    got = {name: p.grad.clone() for name, p in block.named_parameters()}
    block.zero_grad()
    (block(x).square().mean()).backward()
    for name, parameter in block.named_parameters():
        assert _error(got[name], parameter.grad) < 5e-5, name


def test_training_a_convolution():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2))
    x = torch.randn(2, 3, 9, 9)
    _compile(model)(x).sum().backward()
    got = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model(x).sum().backward()
    assert all(_error(g, p.grad) < 1e-5 for g, p in zip(got, model.parameters()))


def test_tricot_ops_fuse_with_their_neighbours():
    def attend(q, k1, k2, v1, v2):
        return torch.relu(tt.trilinear_attention(q * 2.0, k1, k2, v1, v2, w1=4, w2=3)) + 1.0

    five = [torch.randn(1, 8, 2, 8) for _ in range(5)]
    assert _error(_compile(attend)(*five), attend(*five)) < 1e-5
    report = tt.reports()[-1]
    assert len(report.subgraphs) == 1 and not report.left
    assert "trilinear.attention" in report.modules[0].stages["rewrite"]


def test_what_is_not_supported_stays_in_eager_and_is_named(caplog):
    def mixed(x):
        y = torch.relu(x @ x.T) + 1.0
        values, _ = torch.linalg.eigh(y + y.T)
        return torch.sigmoid(values) * 3.0

    x = torch.randn(6, 6)
    with caplog.at_level(logging.WARNING, logger="tricot.torch"):
        assert _error(_compile(mixed)(x), mixed(x)) < 1e-4
    report = tt.reports()[-1]
    assert len(report.subgraphs) == 2
    assert any("linalg_eigh" in op for op, _ in report.left) and "linalg_eigh" in str(report)
    assert "linalg_eigh" in caplog.text and "no lowering" in caplog.text


def test_sizes_that_change():
    model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4)).eval()
    compiled = _compile(model)
    with torch.no_grad():
        for rows in (2, 5, 7, 5, 3):
            x = torch.randn(rows, 8)
            assert _error(compiled(x), model(x)) < 1e-5


def test_integers_masks_slices_and_tables():
    table = torch.randn(10, 6)

    def model(indices, x):
        e = torch.nn.functional.embedding(indices, table)
        mask = indices[:, :, None] > 4
        e = torch.where(mask, e, -e)[..., 1:5:2]
        parts = torch.cat([e, x[:, :, :2].clamp(-0.5, 0.5)], dim=-1)
        first, second = parts.split([1, 3], dim=-1)
        return first * 2 + second.mean(-1, keepdim=True), (indices // 2) + indices.sum(1, keepdim=True)

    inputs = torch.arange(8).reshape(2, 4), torch.randn(2, 4, 3)
    got, expected = _compile(model)(*inputs), model(*inputs)
    assert _error(got[0], expected[0]) < 1e-5 and torch.equal(got[1], expected[1])


def test_a_mutated_input_and_a_view_as_output():
    def model(x, state):
        state.add_(x.sum(0))
        return state * 2, x.T

    x, ours, theirs = torch.randn(3, 4), torch.zeros(4), torch.zeros(4)
    got, expected = _compile(model)(x, ours), model(x, theirs)
    assert _error(got[0], expected[0]) < 1e-5 and torch.equal(got[1], expected[1])
    assert _error(ours, theirs) < 1e-5
