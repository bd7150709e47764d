"""The `sm_90a` target: code without a GPU, calls with one."""

import numpy as np
import pytest

import tricot
from conftest import error, layer_graph, layer_reference
from tricot import _tools

pytestmark = pytest.mark.skipif(_tools.sm90_program() is None, reason="this wheel was built without LLVM")


@pytest.fixture(scope="module")
def both():
    try:
        return tricot.compile(layer_graph(), target=["cpu", "sm_90a"])
    except tricot.Error as problem:
        if problem.code == "TC0506":
            pytest.skip("no ptxas of CUDA 13.3 here: pip install tricot[cuda]")
        raise


def test_one_module_for_both_targets(both, data, tmp_path):
    assert both.targets == ["cpu", "sm_90a"]
    assert error(both(*data), layer_reference(*data)) < 1e-5
    both.save(tmp_path / "both.tricot")
    loaded = tricot.load(tmp_path / "both.tricot")
    assert set(loaded.targets) == {"cpu", "sm_90a"}
    assert loaded.stage("ptx", "sm_90a") == both.stages["ptx"]


def test_stages_of_the_gpu(both):
    for stage, mark in [("llvm", "nvptx"), ("ptx", ".target sm_90a")]:
        texts = both.stages[stage]
        assert texts and all(mark in text for text in texts.values())
    assert all("gpu.module" in text for text in both.stage("mlir", "sm_90a").values())


def test_host_tensors_need_the_cpu_target(both, data):
    module = tricot.compile(layer_graph(), target="sm_90a")
    with pytest.raises(tricot.Error) as caught:
        module(*data)
    assert caught.value.code == "TC0842"


def _torch_on_a_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return torch


def test_torch_on_the_gpu_runs_on_the_current_stream(both, data):
    torch = _torch_on_a_gpu()
    x, w = (torch.from_numpy(d).cuda() for d in data)
    with torch.cuda.stream(torch.cuda.Stream()):
        y = both(x, w)
        out = torch.full_like(y, float("nan"))
        assert both(x, w, out=out) is out
        host, other = y.cpu().numpy(), out.cpu().numpy()
    assert error(host, layer_reference(*data)) < 1e-5 and np.array_equal(host, other)


def test_mixed_devices_are_refused(both, data):
    torch = _torch_on_a_gpu()
    with pytest.raises(tricot.Error) as caught:
        both(torch.from_numpy(data[0]).cuda(), data[1])
    assert caught.value.code in ("TC0840", "TC0842")


def test_a_capturing_stream_records_the_call(both, data):
    torch = _torch_on_a_gpu()
    x, w = (torch.from_numpy(d).cuda() for d in data)
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        out = both(x, w)
    stream.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        both(x, w, out=out)
    out.fill_(float("nan"))
    graph.replay()
    assert error(out.cpu().numpy(), layer_reference(*data)) < 1e-5


def test_cupy_and_jax_on_the_gpu(both, data):
    torch = _torch_on_a_gpu()
    cupy = pytest.importorskip("cupy")
    x, w = (cupy.asarray(d) for d in data)
    with cupy.cuda.Stream() as stream:
        y = both(x, w)
        stream.synchronize()
    assert isinstance(y, cupy.ndarray) and error(cupy.asnumpy(y), layer_reference(*data)) < 1e-5
    jax = pytest.importorskip("jax")
    if not any(d.platform == "gpu" for d in jax.devices()):
        pytest.skip("JAX sees no GPU here")
    y = both(*(jax.numpy.asarray(d) for d in data))
    torch.cuda.synchronize()
    assert isinstance(y, jax.Array) and error(np.asarray(y), layer_reference(*data)) < 1e-5


def test_two_streams_at_once_do_not_share_memory(both, data):
    torch = _torch_on_a_gpu()
    x, w = (torch.from_numpy(d).cuda() for d in data)
    torch.cuda.synchronize()
    streams, results = [torch.cuda.Stream() for _ in range(4)], []
    for i in range(64):
        with torch.cuda.stream(streams[i % 4]):
            results.append((i, both(x * float(1 + i % 3), w)))
    torch.cuda.synchronize()
    for i, y in results:
        assert error(y.cpu().numpy(), layer_reference(data[0] * (1 + i % 3), data[1])) < 1e-5


def test_torch_ops_and_the_backend_on_the_gpu():
    torch = _torch_on_a_gpu()
    import tricot.torch as tt

    generator = torch.Generator().manual_seed(3)
    five = [torch.randn(1, 64, 2, 64, generator=generator).bfloat16().cuda().requires_grad_() for _ in range(5)]
    out = tt.trilinear_attention(*five, w1=32, w2=16)
    out.float().square().sum().backward()
    on_cpu = [t.detach().cpu().requires_grad_() for t in five]
    expected = tt.trilinear_attention(*on_cpu, w1=32, w2=16)
    expected.float().square().sum().backward()
    assert error(out.detach().float().cpu(), expected.detach().float()) < 1.2e-2
    for got, want in zip(five, on_cpu):
        assert error(got.grad.float().cpu(), want.grad.float()) < 3e-2
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.Linear(128, 64)).cuda().eval()
    x = torch.randn(32, 64, generator=generator).cuda()
    with torch.no_grad():
        assert error(torch.compile(model, backend="tricot")(x).cpu(), model(x).cpu()) < 1e-5
