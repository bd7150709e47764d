"""What the tests share: seeded data, the error measure, the models of the repository."""

import importlib.util
import pathlib

import numpy as np
import pytest

import tricot

ROOT = pathlib.Path(__file__).parents[2]


def error(got, expected) -> float:
    """Relative L2 error against float64; infinite where NaN appears in one of them only."""
    got, expected = np.asarray(got, "float64"), np.asarray(expected, "float64")
    assert got.shape == expected.shape
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.linalg.norm(got - expected) / max(np.linalg.norm(expected), 1e-30))


def layer_graph() -> tricot.Graph:
    """y = 2 relu(x w) for any number of rows; x f32[rows, 64], w f32[64, 32]."""
    g = tricot.Graph("layer")
    x, w = g.input("x", "f32", ["rows", 64]), g.input("w", "f32", [64, 32])
    g.output("y", g.map("relu", tricot.graph.einsum(g, "ri,io->ro", x, w)) * 2.0)
    return g


def layer_reference(x, w):
    return 2 * np.maximum(x.astype("float64") @ w.astype("float64"), 0)


def resident_kib() -> int:
    """Memory of this process."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def simplex_block(torch, dtype):
    """A block of the 2-simplicial transformer, as examples/simplex defines it, and an f32 input for it."""
    spec = importlib.util.spec_from_file_location("simplex", ROOT / "examples/simplex/export.py")
    simplex = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simplex)
    block = simplex.SimplexBlock(width=64, heads=4, kv_heads=2, head_dim=16, windows=(12, 4), ffn=128)
    return block.to(dtype).eval(), torch.randn(2, 24, 64)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def layer() -> tricot.Module:
    return tricot.compile(layer_graph())


@pytest.fixture
def data(rng):
    return rng.standard_normal((5, 64)).astype("float32"), rng.standard_normal((64, 32)).astype("float32")


@pytest.fixture(scope="session")
def two_outputs() -> tricot.Module:
    """total = a + b, difference = a - b, for f32[n]."""
    g = tricot.Graph("two")
    a, b = g.input("a", "f32", ["n"]), g.input("b", "f32", ["n"])
    g.output("total", a + b)
    g.output("difference", a - b)
    return tricot.compile(g)
