"""The graph builder."""

import numpy as np
import pytest

import tricot
from conftest import error


def test_operators_broadcast_and_take_numbers():
    g = tricot.Graph("ops")
    x, b = g.input("x", "f32", ["n", 4]), g.input("b", "f32", [4])
    assert x.dtype == "f32" and x.shape == ("n", 4) and "f32[n, 4]" in repr(x)
    g.output("y", (1.0 - x * 2.0 + b) / 4.0 - (-x))
    data, bias = np.arange(8, dtype="f").reshape(2, 4), np.ones(4, "f")
    expected = (1 - data * 2 + bias) / 4 + data
    assert error(tricot.compile(g)(data, bias), expected) < 1e-6


def test_integers_stay_integers():
    g = tricot.Graph("integers")
    g.output("y", g.input("x", "i64", [3]) * 3 + 1)
    assert tricot.compile(g)(np.arange(3)).tolist() == [1, 4, 7]


def test_constants_are_copied():
    g = tricot.Graph("constant")
    weights = np.arange(6, dtype="f").reshape(3, 2)
    y = tricot.graph.einsum(g, "ni,io->no", g.input("x", "f32", ["n", 3]), g.constant(weights, name="w"))
    g.output("y", y)
    weights[:] = 0
    assert tricot.compile(g)(np.eye(3, dtype="f")).tolist() == [[0, 1], [2, 3], [4, 5]]


def test_ops_with_several_results_and_all_kinds_of_attributes():
    g = tricot.Graph("top")
    values, positions = g.op("core.top_k", g.input("x", "f32", [5]), k=2, axis=0, largest=True)
    g.output("values", values)
    g.output("positions", positions)
    got = tricot.compile(g)(np.array([1, 9, 3, 7, 5], "f"))
    assert got[0].tolist() == [9, 7] and got[1].tolist() == [1, 3]


def test_sizes_are_polynomials():
    g = tricot.Graph("sizes")
    g.symbol("n", min=2, multiple=2, max=64, hint=8)
    x = g.input("x", "f32", ["n", 3])
    y = tricot.graph.reshape(g, x, ["3*n"])
    assert y.shape == ("3*n",)
    g.output("y", y)
    module = tricot.compile(g)
    assert module.inspect()["symbols"]["n"] | {"min": 2, "max": 64, "multiple": 2} == module.inspect()["symbols"]["n"]
    assert module(np.zeros((4, 3), "f")).shape == (12,)
    with pytest.raises(tricot.Error) as caught:
        module(np.zeros((3, 3), "f"))
    assert caught.value.code == "TC0806"


def test_an_output_may_take_over_an_input():
    g = tricot.Graph("state")
    x = g.input("x", "f32", [4])
    g.output("y", x + 1.0, alias="x")
    module, state = tricot.compile(g), np.zeros(4, "f")
    for _ in range(3):
        module(state, out=state)
    assert state.tolist() == [3, 3, 3, 3]


def test_gradients():
    g = tricot.Graph("gradient")
    x, seed = g.input("x", "f32", [4]), g.input("seed", "f32", [4])
    (dx,) = g.gradient([(g.map("mul", x, g.map("mul", x, x)), seed)], [x])
    g.output("dx", dx)
    data, weight = np.array([1, 2, -3, 0.5], "f"), np.array([1, -1, 2, 4], "f")
    assert error(tricot.compile(g)(data, weight), 3 * data**2 * weight) < 1e-6


def test_the_text_reads_back():
    g = tricot.Graph("text")
    g.output("y", g.map("exp", g.input("x", "f32", ["n"])))
    assert tricot.compile(str(g)).stages["graph"] == str(g) == g.text()


@pytest.mark.parametrize(
    ("code", "build"),
    [
        ("TC0103", lambda g, x: g.op("core.nothing", x)),
        ("TC0110", lambda g, x: g.op("core.transpose", x)),
        ("TC0110", lambda g, x: g.op("core.transpose", x, perm=[1, 0])),
        ("TC0110", lambda g, x: g.op("core.transpose", x, perm="yes")),
        ("TC0110", lambda g, x: g.op("core.transpose", x, axes=[0])),
        ("TC0110", lambda g, x: g.op("core.map", x, fn="rellu")),
        ("TC0103", lambda g, x: g.input("z", "float31", [3])),
        ("TC0102", lambda g, x: g.input("z", "f32", ["3 +"])),
        ("TC0102", lambda g, x: g.input("z", "f32", [-3])),
        ("TC0110", lambda g, x: g.input("x", "f32", [3])),
        ("TC0110", lambda g, x: g.text()),
        ("TC0110", lambda g, x: x + tricot.Graph("other").input("y", "f32", [3])),
        ("TC0111", lambda g, x: x + g.input("y", "f32", [5])),
        ("TC0911", lambda g, x: g.symbol("n", min=5, max=4)),
    ],
)
def test_mistakes_raise_where_they_are_made(code, build):
    g = tricot.Graph("mistakes")
    x = g.input("x", "f32", [3])
    with pytest.raises(tricot.Error) as caught:
        build(g, x)
    assert caught.value.code == code, caught.value
    # The graph is as before the mistake.
    g.output("result", x + 1.0)
    inputs = [np.zeros(size, "f") for size in ([3, 5] if code == "TC0111" else [3])]
    assert tricot.compile(g)(*inputs).tolist() == [1, 1, 1]


def test_operands_must_be_values():
    g = tricot.Graph("operands")
    with pytest.raises(TypeError, match="values of the graph"):
        g.op("core.map", np.zeros(3), fn="exp")
