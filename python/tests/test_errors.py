"""What goes wrong at a call is an exception with a code, and the module stays usable."""

import ctypes
import pickle

import numpy as np
import pytest

import tricot
from conftest import error, layer_reference


def _fails(code, call):
    with pytest.raises(tricot.Error) as caught:
        call()
    assert caught.value.code == code, caught.value
    assert all(d.code.startswith("TC") for d in caught.value.diagnostics)
    return caught.value


@pytest.fixture
def good(layer, data):
    """Checks after a test that the module still works."""
    yield data
    assert error(layer(*data), layer_reference(*data)) < 1e-5


def test_a_missing_input_names_all(layer, good):
    assert "w: f32[64, 32]" in str(_fails("TC0801", lambda: layer(good[0])))
    _fails("TC0801", lambda: layer())
    _fails("TC0801", lambda: layer(*good, good[0]))


def test_an_unknown_or_doubled_input(layer, good):
    assert "x, w" in str(_fails("TC0802", lambda: layer(good[0], v=good[1])))
    _fails("TC0802", lambda: layer(*good, x=good[0]))


def test_a_wrong_dtype(layer, good):
    problem = _fails("TC0803", lambda: layer(good[0].astype("d"), good[1].astype("e")))
    assert len(problem.diagnostics) == 2 and "f64, f32 expected" in str(problem)
    assert "complex64" in str(_fails("TC0803", lambda: layer(good[0].astype("F"), good[1])))


def test_a_wrong_shape(layer, good):
    assert "axis 1 of input `x` is 63" in str(_fails("TC0804", lambda: layer(np.zeros((5, 63), "f"), good[1])))
    _fails("TC0804", lambda: layer(good[0][0], good[1]))
    _fails("TC0804", lambda: layer(good[0], np.zeros((64, 32, 1), "f")))


def test_sizes_that_look_alike_after_flattening(two_outputs):
    """The cache of the last sizes must not confuse ranks: [2] and [3] against [2, 3] and []."""
    two_outputs(np.zeros(2, "f"), np.zeros(2, "f"))
    _fails("TC0804", lambda: two_outputs(np.zeros((2, 2), "f"), np.zeros((), "f")))


def test_sizes_that_contradict_each_other(two_outputs):
    _fails("TC0804", lambda: two_outputs(np.zeros(3, "f"), np.zeros(4, "f")))


def test_a_tensor_that_is_not_contiguous(layer, good):
    for x in (np.zeros((64, 5), "f").T, np.zeros((5, 128), "f")[:, ::2], np.zeros((5, 64), "f")[::-1]):
        assert "strides" in str(_fails("TC0841", lambda: layer(x, good[1])))


def test_size_one_axes_may_have_any_stride(layer, data):
    x = np.lib.stride_tricks.as_strided(data[0], (1, 64), (4, 4))
    assert error(layer(x, data[1]), layer_reference(x, data[1])) < 1e-5


def test_what_is_no_tensor(layer, good):
    for x in (3, None, "x", [[1.0] * 64]):
        _fails("TC0840", lambda: layer(x, good[1]))


def test_a_capsule_that_was_used_up(layer, good):
    class Once:
        def __init__(self, array):
            self.array, self.capsule = array, array.__dlpack__()

        def __dlpack__(self, **_):
            return self.capsule

        def __dlpack_device__(self):
            return (1, 0)

    once = Once(good[0].copy())
    np.from_dlpack(once)
    assert "used up" in str(_fails("TC0840", lambda: layer(once.capsule, good[1])))
    assert "used up" in str(_fails("TC0840", lambda: layer(once, good[1])))


def test_a_capsule_of_something_else(layer, good):
    import datetime

    _fails("TC0840", lambda: layer(datetime.datetime_CAPI, good[1]))


def test_a_producer_that_raises(layer, good):
    class Broken:
        def __dlpack__(self, **_):
            raise BufferError("no memory today")

    assert "no memory today" in str(_fails("TC0840", lambda: layer(Broken(), good[1])))


def test_outputs_that_do_not_fit(layer, good):
    _fails("TC0803", lambda: layer(*good, out=np.zeros((5, 32), "d")))
    _fails("TC0804", lambda: layer(*good, out=np.zeros((4, 32), "f")))
    _fails("TC0801", lambda: layer(*good, out=()))
    _fails("TC0841", lambda: layer(*good, out=np.zeros((32, 5), "f").T))
    overlapping = good[1].reshape(-1)[:160].reshape(5, 32)
    _fails("TC0810", lambda: layer(*good, out=overlapping))
    fixed = np.zeros((5, 32), "f")
    fixed.flags.writeable = False
    _fails("TC0843", lambda: layer(*good, out=fixed))


def test_a_misaligned_tensor(layer, good):
    x = np.zeros(5 * 64 * 4 + 1, "u1")[1:].view("f").reshape(5, 64)
    _fails("TC0810", lambda: layer(x, good[1]))


def test_numpy_has_no_bf16():
    g = tricot.Graph("bf16")
    g.output("y", g.op("core.cast", g.input("x", "f32", [4]), to="bf16"))
    assert "bf16" in str(_fails("TC0844", lambda: tricot.compile(g)(np.zeros(4, "f"))))


def test_bad_options():
    g = tricot.Graph("g")
    g.output("y", g.input("x", "f32", ["n"]) + 1.0)
    _fails("TC0930", lambda: tricot.compile(g, target="sm_42"))
    _fails("TC0930", lambda: tricot.compile(g, target=[]))
    _fails("TC0915", lambda: tricot.compile(g, winograd="f99"))
    _fails("TC0915", lambda: tricot.compile(g, max_rel_err=float("nan")))
    _fails("TC0910", lambda: tricot.compile(g, symbols={"m": 4}))
    _fails("TC0901", lambda: tricot.compile(object()))


def test_bad_files(tmp_path):
    _fails("TC0900", lambda: tricot.compile(tmp_path / "absent.tri"))
    _fails("TC0201", lambda: tricot.compile(str(tmp_path / "absent.onnx")))
    _fails("TC0701", lambda: tricot.load(tmp_path / "absent.tricot"))
    (tmp_path / "junk.tricot").write_bytes(b"PK\x03\x04 and then nothing" * 9)
    with pytest.raises(tricot.Error) as caught:
        tricot.load(tmp_path / "junk.tricot")
    assert caught.value.code.startswith("TC07")
    with pytest.raises(tricot.Error) as caught:
        tricot.compile(b"\x00\xff\x01")
    assert caught.value.code.startswith("TC02")


def test_graph_text_errors_point_at_the_line():
    text = 'module @m\nfunc @main(%x: f32[4]) {\n  %y = core.map %x {fn = "rellu"} : f32[4]\n  return "y" = %y\n}\n'
    with pytest.raises(tricot.Error) as caught:
        tricot.compile(text)
    assert "<text>:3:" in str(caught.value) and "`fn`" in caught.value.diagnostics[0].message


def test_errors_survive_pickling(layer, data):
    problem = _fails("TC0801", lambda: layer(data[0]))
    copy = pickle.loads(pickle.dumps(problem))
    assert copy.code == problem.code and copy.diagnostics == problem.diagnostics and str(copy) == str(problem)


class _Tensor(ctypes.Structure):
    """`DLManagedTensor` of dlpack.h, without context and deleter."""

    _fields_ = [
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.c_void_p), ("byte_offset", ctypes.c_uint64), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("TC0810", {"data": 0}),
        ("TC0840", {"shape": [-5, 64]}),
        ("TC0804", {"shape": [2**62, 2**62]}),
        ("TC0804", {"ndim": -1}),
        ("TC0842", {"device": (2, 0)}),
        ("TC0842", {"device": (99, 0)}),
        ("TC0803", {"type": (2, 32, 4)}),
        ("TC0803", {"type": (77, 32, 1)}),
    ],
)
def test_producers_that_say_what_cannot_be(layer, good, code, fields):
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    shape = fields.get("shape", [5, 64])
    sizes = (ctypes.c_int64 * len(shape))(*shape)
    tensor = _Tensor(
        fields.get("data", good[0].ctypes.data), fields.get("device", (1, 0)), fields.get("ndim", len(shape)),
        *fields.get("type", (2, 32, 1)), sizes,
    )  # fmt: skip
    _fails(code, lambda: layer(new(ctypes.addressof(tensor), b"dltensor", None), good[1]))
