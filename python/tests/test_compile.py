"""Ways into a module (files, ONNX, text) and ways to look at one."""

import numpy as np
import pytest

import tricot
from conftest import ROOT, error, layer_graph, layer_reference

BLOCK = ROOT / "examples/simplex/block.onnx"
TEXT = """module @twice
symbol n

func @main(%x: f32[n]) {
  %y = core.map %x, %x {fn = "add"} : f32[n]
  return "y" = %y
}
"""


def test_graph_text_and_text_files(tmp_path):
    path = tmp_path / "twice.tri"
    path.write_text(TEXT)
    for model in (TEXT, path, str(path)):
        assert tricot.compile(model)(np.arange(3, dtype="f")).tolist() == [0, 2, 4]


def test_symbols_are_fixed_at_compile_time():
    module = tricot.compile(TEXT, symbols={"n": 3})
    assert module.inspect()["inputs"][0]["shape"] == [3]
    with pytest.raises(tricot.Error) as caught:
        module(np.zeros(4, "f"))
    assert caught.value.code == "TC0804"


def test_onnx_from_a_path_and_from_memory_agree():
    from_path, from_bytes = tricot.compile(BLOCK), tricot.compile(BLOCK.read_bytes())
    ports = from_path.inspect()["inputs"]
    sizes = {s: i["hint"] for s, i in from_path.inspect()["symbols"].items()}
    rng = np.random.default_rng(3)
    dtypes = {"f32": "f", "f16": "e", "i64": "q", "i32": "i"}
    inputs = [
        rng.standard_normal([sizes.get(d, d) for d in p["shape"]]).astype(dtypes[p["dtype"]]) for p in ports
    ]
    one, other = from_path(*inputs), from_bytes(*inputs)
    assert np.isfinite(np.asarray(one, "d")).all() and np.array_equal(one, other)


def test_save_and_load(tmp_path, data):
    module = tricot.compile(layer_graph())
    path = tmp_path / "layer.tricot"
    module.save(path)
    digest = module.inspect()["digest"]
    loaded = tricot.load(path, digest=digest)
    assert loaded.inspect() == module.inspect()
    assert error(loaded(*data), layer_reference(*data)) < 1e-5
    with pytest.raises(tricot.Error) as caught:
        tricot.load(path, digest="0" * 64)
    assert caught.value.code == "TC0709"


def test_a_loaded_module_says_what_a_bundle_does_not_hold(tmp_path):
    tricot.compile(layer_graph()).save(tmp_path / "layer.tricot")
    loaded = tricot.load(tmp_path / "layer.tricot")
    assert "steps" in loaded.stages["plan"]
    for ask in (lambda: loaded.stages["mlir"], loaded.explain, lambda: loaded.save(tmp_path / "copy.tricot")):
        with pytest.raises(tricot.Error) as caught:
            ask()
        assert caught.value.code == "TC0845"


def test_every_stage_of_the_cpu_target(layer):
    assert list(layer.stages) == ["graph", "rewrite", "schedule", "mlir", "llvm", "ptx", "sass", "plan"]
    for name in ("graph", "rewrite", "schedule", "plan"):
        assert isinstance(layer.stages[name], str) and layer.stages[name].strip()
    assert "func @main" in layer.stages["graph"]
    for name in ("mlir", "sass"):
        kernels = layer.stages[name]
        assert kernels and all(isinstance(text, str) and text.strip() for text in kernels.values())
    with pytest.raises(KeyError):
        layer.stages["cubin"]
    with pytest.raises(tricot.Error) as caught:
        layer.stages["ptx"]
    assert caught.value.code == "TC0913"


def test_explain_and_why_not():
    module = tricot.compile((ROOT / "tests/headline/trilinear.tri").read_text(), symbols={"b": 1})
    assert "trilinear.attention" in module.stages["rewrite"]
    assert "steps" in module.explain()
    assert tricot.compile(layer_graph()).explain(why_not="trilinear.attention").strip()
    with pytest.raises(tricot.Error):
        module.explain(target="sm_90a")


def test_inspect_names_ports_symbols_and_targets(layer):
    seen = layer.inspect()
    assert [p["name"] for p in seen["inputs"]] == layer.input_names == ["x", "w"]
    assert seen["outputs"][0] | {"name": "y", "dtype": "f32", "shape": ["rows", 32]} == seen["outputs"][0]
    assert list(seen["targets"]) == layer.targets == ["cpu"] and "rows" in seen["symbols"]
    assert layer.name == "layer" and "layer" in repr(layer)


def test_buckets_agree_with_the_general_variant(data):
    module = tricot.compile(layer_graph(), buckets=[{"rows": 5}])
    assert len(module.inspect()["targets"]["cpu"]["variants"]) == 2
    assert error(module(*data), layer_reference(*data)) < 1e-5
    assert error(module(data[0][:3], data[1]), layer_reference(data[0][:3], data[1])) < 1e-5
