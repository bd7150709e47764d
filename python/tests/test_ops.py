"""Ops of the user's own: as text, traced from a function, in graphs, in text and in ONNX models."""

import numpy as np
import pytest

import tricot
from conftest import ROOT, error

SCALED = """op @pytext.scaled(%x: T[rows, cols], %gain: T[cols], $by: float = 2.0) {
  %c = core.constant {value = splat<$by>} : T[]
  %s = core.broadcast %c {axes = [], shape = [rows, cols]} : T[rows, cols]
  %g = core.broadcast %gain {axes = [1], shape = [rows, cols]} : T[rows, cols]
  %sx = core.map %x, %s {fn = "mul"} : T[rows, cols]
  %y = core.map %sx, %g {fn = "mul"} : T[rows, cols]
  return "y" = %y
}"""

GATE = (ROOT / "examples/custom_op/gate.tri").read_text()


def gate_reference(x, gain, alpha):
    x = x.astype("float64")
    return x / (1 + np.exp(-alpha * x)) * gain


def graph_of(op: str, **attributes) -> tricot.Graph:
    g = tricot.Graph("custom")
    x, gain = g.input("x", "f32", ["n", 8]), g.input("gain", "f32", [8])
    g.output("y", g.op(op, x, gain, **attributes))
    return g


def test_a_declaration_in_text(rng):
    assert tricot.register_op(SCALED) == ["pytext.scaled"]
    x, gain = rng.standard_normal((5, 8)).astype("f"), rng.standard_normal(8).astype("f")
    g = graph_of("pytext.scaled", by=0.5)
    assert error(tricot.compile(g)(x, gain), 0.5 * x.astype("float64") * gain) < 1e-6
    # The graph's text carries the declaration.
    assert SCALED in g.text()
    assert error(tricot.compile(g.text())(x, gain), 0.5 * x.astype("float64") * gain) < 1e-6
    text = 'module @t\nfunc @main(%x: f32[5, 8], %g: f32[8]) {\n  %y = pytext.scaled %x, %g : f32[5, 8]\n  return "y" = %y\n}\n'
    assert error(tricot.compile(text)(x, gain), 2.0 * x.astype("float64") * gain) < 1e-6


def test_a_name_may_mean_something_else_later(rng):
    one = 'op @pyagain.f(%x: f32[n]) {\n  %y = core.map %x {fn = "neg"} : f32[n]\n  return "y" = %y\n}'
    x = rng.standard_normal(7).astype("f")

    def module():
        g = tricot.Graph()
        g.output("y", g.op("pyagain.f", g.input("x", "f32", ["n"])))
        return tricot.compile(g)

    tricot.register_op(one)
    before = module()
    tricot.register_op(one.replace("neg", "abs"))
    assert np.array_equal(module()(x), np.abs(x)) and np.array_equal(before(x), -x)


def test_a_function_says_what_an_op_means(rng):
    def soft_gate(g, x, w):
        return {"gated": x * g.map("sigmoid", tricot.graph.einsum(g, "ri,io->ro", x, w)), "twice": x + x}

    text = tricot.define_op("pyfn.soft_gate", soft_gate, {"x": "f32[rows, k]", "w": "f32[k, k]"})
    assert text.startswith("op @pyfn.soft_gate(%x: f32[rows, k], %w: f32[k, k]) {")
    g = tricot.Graph("two")
    x, w = g.input("x", "f32", ["n", 16]), g.input("w", "f32", [16, 16])
    gated, twice = g.op("pyfn.soft_gate", x, w)
    g.output("y", gated + twice)
    data = rng.standard_normal((6, 16)).astype("f"), rng.standard_normal((16, 16)).astype("f")
    wide = [d.astype("float64") for d in data]
    expected = wide[0] / (1 + np.exp(-wide[0] @ wide[1])) + 2 * wide[0]
    assert error(tricot.compile(g)(*data), expected) < 1e-5


def test_kernels_stand_behind_the_body():
    ptx = GATE.partition('ptx = """')[2].partition('"""')[0]
    clause = tricot.kernel(
        "gate_f32", grid=["rows * cols ceildiv 256"], block=[256], ptx=ptx, types={"T": "f32"}, multiples={"cols": 4},
        arguments=["%x", "%gain", "%y", "rows * cols: i32", "cols: i32", "$by: f32"], microseconds=2.5, always=True,
    )  # fmt: skip
    tricot.register_op(SCALED.replace("pytext.scaled", "pykernel.scaled") + " " + clause)
    text = tricot.compile(graph_of("pykernel.scaled")).stages["graph"]
    assert ".visible .entry gate_f32" in text and "always = true" in text
    with pytest.raises(ValueError):
        tricot.kernel("k", grid=[1], block=[1], arguments=[])


def test_mistakes_are_coded():
    cases = {
        SCALED.replace("pytext", "core"): "TC0121",
        SCALED.replace("%sx, %g {", "%sx, %nothing {"): "TC0104",
        SCALED + " kernel sm_80 {}": "TC0123",
        "func @main() {}": "TC0101",
    }
    for text, code in cases.items():
        with pytest.raises(tricot.Error) as caught:
            tricot.register_op(text)
        assert caught.value.code == code, caught.value
    with pytest.raises(tricot.Error) as caught:
        graph_of("pytext.unheard_of")
    assert caught.value.code == "TC0103"
    with pytest.raises(ValueError):
        tricot.define_op("pyfn.bad", lambda g, x: x, {"x": "f32"})


def test_onnx_nodes_of_an_own_domain(rng):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    tricot.register_op(SCALED.replace("pytext.scaled", "com_mylib.Scaled"))
    node = helper.make_node("Scaled", ["x", "gain"], ["y"], domain="com_mylib", by=3.0)
    info = helper.make_tensor_value_info
    inputs = [info("x", TensorProto.FLOAT, ["n", 8]), info("gain", TensorProto.FLOAT, [8])]
    graph = helper.make_graph([node], "own", inputs, [info("y", TensorProto.FLOAT, ["n", 8])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com_mylib", 1)])
    x, gain = rng.standard_normal((4, 8)).astype("f"), rng.standard_normal(8).astype("f")
    assert error(tricot.compile(model)(x, gain), 3.0 * x.astype("float64") * gain) < 1e-6
    node.attribute[0].name = "through"
    with pytest.raises(tricot.Error) as caught:
        tricot.compile(helper.make_model(helper.make_graph([node], "own", inputs, graph.output), opset_imports=model.opset_import))
    assert caught.value.code == "TC0207"
