"""Calls of a module on NumPy arrays: values, shapes, outputs of the caller, several threads, memory."""

import gc
import os
import signal
import threading

import numpy as np
import pytest

import tricot
from conftest import error, layer_reference, resident_kib


@pytest.mark.parametrize("rows", [1, 5, 130])
def test_values_for_any_number_of_rows(layer, rng, rows):
    x, w = rng.standard_normal((rows, 64)).astype("f"), rng.standard_normal((64, 32)).astype("f")
    y = layer(x, w)
    assert isinstance(y, np.ndarray) and y.dtype == np.float32
    assert error(y, layer_reference(x, w)) < 1e-5


def test_sizes_may_change_back_and_forth(layer, rng):
    w = rng.standard_normal((64, 32)).astype("f")
    for rows in [3, 7, 3, 1, 7, 7, 3]:
        x = rng.standard_normal((rows, 64)).astype("f")
        assert error(layer(x, w), layer_reference(x, w)) < 1e-5


def test_named_inputs_in_any_order(layer, data):
    x, w = data
    assert np.array_equal(layer(w=w, x=x), layer(x, w))
    assert np.array_equal(layer(x, w=w), layer(x, w))


def test_outputs_of_the_caller_are_written_in_place(layer, data):
    out = np.full((5, 32), np.nan, "f")
    assert layer(*data, out=out) is out
    assert error(out, layer_reference(*data)) < 1e-5


def test_several_outputs_come_as_a_tuple(two_outputs):
    a, b = np.arange(4, dtype="f"), np.ones(4, "f")
    total, difference = two_outputs(a, b)
    assert total.tolist() == [1, 2, 3, 4] and difference.tolist() == [-1, 0, 1, 2]
    out = (np.full(4, np.nan, "f"), np.full(4, np.nan, "f"))
    assert two_outputs(a, b, out=out) is out
    assert out[0].tolist() == total.tolist() and out[1].tolist() == difference.tolist()


def test_inputs_are_read_where_they_are_also_read_only_ones(layer, data):
    x, w = (d.copy() for d in data)
    x.flags.writeable = w.flags.writeable = False
    assert error(layer(x, w), layer_reference(x, w)) < 1e-5


def test_an_empty_tensor():
    g = tricot.Graph("empty")
    g.symbol("n", min=0)
    g.output("y", g.input("x", "f32", ["n", 3]) + 1.0)
    assert tricot.compile(g)(np.zeros((0, 3), "f")).shape == (0, 3)


def test_any_object_with_dlpack_and_bare_capsules(layer, data):
    class Wrapped:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **arguments):
            return self.array.__dlpack__(**arguments)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    expected = layer(*data)
    assert np.array_equal(layer(*(Wrapped(d) for d in data)), expected)
    assert np.array_equal(layer(*(d.__dlpack__() for d in data)), expected)


def test_a_producer_that_knows_no_versions(layer, data):
    class Old:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self):
            return self.array.__dlpack__()

    assert np.array_equal(layer(*(Old(d) for d in data)), layer(*data))


def test_all_element_types_pass_unchanged():
    for name in ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]:
        short = {"float": "f", "int": "i", "uint": "u"}[name.rstrip("0123456789")] + name.lstrip("abcdefghijklmnopqrstuvwxyz")
        g = tricot.Graph(name)
        g.output("y", g.op("core.transpose", g.input("x", short, [2, 3]), perm=[1, 0]))
        x = np.arange(6).reshape(2, 3).astype(name)
        y = tricot.compile(g)(x)
        assert y.dtype == x.dtype and np.array_equal(y, x.T)


def test_two_threads_at_once(layer, rng):
    w = rng.standard_normal((64, 32)).astype("f")
    xs = [rng.standard_normal((rows, 64)).astype("f") for rows in (1, 4, 33, 64)]
    failures = []

    def work(x):
        expected = layer_reference(x, w)
        for _ in range(200):
            if not error(layer(x, w), expected) < 1e-5:
                failures.append(x.shape)

    threads = [threading.Thread(target=work, args=(x,)) for x in xs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_a_forked_process_compiles_and_calls(rng):
    """Threads do not survive a fork; a child must not wait for its parent's."""

    def product():
        g = tricot.Graph("product")
        x = g.input("x", "f32", ["n", "n"])
        g.output("y", tricot.graph.einsum(g, "ij,jk->ik", x, x))
        return tricot.compile(g)

    x, module = rng.standard_normal((256, 256)).astype("f"), product()
    expected = module(x)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        same = all(np.array_equal(m(x), expected) for m in (module, product()))
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_ten_thousand_calls_leak_nothing(layer, rng):
    x, w = rng.standard_normal((64, 64)).astype("f"), rng.standard_normal((64, 32)).astype("f")

    def calls(count):
        for _ in range(count):
            layer(x, w)
            with pytest.raises(tricot.Error):
                layer(x)
        gc.collect()

    calls(2000)
    before = resident_kib()
    calls(10_000)
    # An 8 KiB output leaked at each call would be 80 MB.
    assert resident_kib() - before < 4096


def test_many_modules_leak_nothing():
    g = tricot.Graph("tiny")
    g.output("y", g.input("x", "f32", [1024]) + 1.0)
    x = np.zeros(1024, "f")

    def compile_and_call(count):
        for _ in range(count):
            tricot.compile(g)(x)
        gc.collect()

    compile_and_call(30)
    before = resident_kib()
    compile_and_call(100)
    assert resident_kib() - before < 8192


def test_jax_gives_and_gets_jax_arrays():
    jax = pytest.importorskip("jax")
    g = tricot.Graph("jax")
    g.output("y", g.input("x", "f32", ["n", 4]) + 1.0)
    # JAX puts arrays on a GPU where it has one.
    y = tricot.compile(g)(jax.device_put(np.ones((3, 4), "f"), jax.devices("cpu")[0]))
    assert isinstance(y, jax.Array) and np.asarray(y).tolist() == [[2.0] * 4] * 3


def _plus_one() -> tricot.Module:
    g = tricot.Graph("plus_one")
    g.output("y", g.input("x", "f32", ["n", 4]) + 1.0)
    return tricot.compile(g)


def test_memory_is_used_in_place(rng):
    x = rng.standard_normal((3, 4)).astype("f")
    assert tricot.address(x) == x.ctypes.data
    assert tricot.address(x[1:]) == x.ctypes.data + 16
    torch = pytest.importorskip("torch")
    t = torch.from_numpy(x)
    assert tricot.address(t) == tricot.address(t.__dlpack__()) == t.data_ptr() == x.ctypes.data
    assert tricot.address(t[2:]) == t[2:].data_ptr()


def test_torch_tensors_of_all_kinds(rng):
    torch = pytest.importorskip("torch")
    module, x = _plus_one(), torch.from_numpy(rng.standard_normal((3, 4)).astype("f"))

    class Own(torch.Tensor):
        pass

    for good in (x, x.as_subclass(Own), x.clone().requires_grad_().detach(), x[:2]):
        y = module(good)
        assert type(y) is torch.Tensor and torch.equal(y, torch.Tensor(good) + 1.0)
    refused = {
        "TC0840": [x.clone().requires_grad_(), torch.nn.Parameter(x), x.to_sparse(), x.to("meta")],
        "TC0841": [x[:1].expand(3, 4), torch.from_numpy(rng.standard_normal((4, 3)).astype("f")).T],
        "TC0803": [x.double(), x.to(torch.complex64)],
        "TC0804": [x[:, :3].contiguous(), x[0]],
    }
    for code, tensors in refused.items():
        for tensor in tensors:
            with pytest.raises(tricot.Error) as caught:
                module(tensor)
            assert caught.value.code == code, caught.value
    # After all that, it still works.
    assert torch.equal(module(x), x + 1.0)


def test_torch_tensors_leak_nothing(rng):
    torch = pytest.importorskip("torch")
    module, x = _plus_one(), torch.from_numpy(rng.standard_normal((512, 4)).astype("f"))

    def calls(count):
        for _ in range(count):
            module(x)
            with pytest.raises(tricot.Error):
                module(x.T)
        gc.collect()

    calls(2000)
    before = resident_kib()
    calls(10_000)
    assert resident_kib() - before < 4096
