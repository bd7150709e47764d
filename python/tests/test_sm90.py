"""The `sm_90a` target: code without a GPU, calls with one."""

import gc

import numpy as np
import pytest

import tricot
from conftest import ROOT, error, layer_graph, layer_reference, resident_kib, simplex_block
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


def test_tensors_on_the_gpu_are_used_in_place(both, data):
    torch = _torch_on_a_gpu()
    x, w = (torch.from_numpy(d).cuda() for d in data)
    assert tricot.address(x) == x.data_ptr() and tricot.address(w[1:]) == w[1:].data_ptr()
    both(x, w)
    # A large input on a stream of its own, while another keeps the device busy: no second copy of it appears.
    tall = torch.randn(1 << 22, 64, device="cuda")
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        both(tall, w)
        free = torch.cuda.mem_get_info()[0]
        tall.mul_(2.0)
        y = both(tall, w)
        tall.zero_()
        assert free - torch.cuda.mem_get_info()[0] < tall.nbytes
    stream.synchronize()
    assert torch.isfinite(y).all() and y.abs().sum() > 0


def test_the_queue_of_a_side_stream_is_kept(both, data):
    """The input is written by slow work queued before the call, and overwritten right after it."""
    torch = _torch_on_a_gpu()
    x, w = (torch.from_numpy(d).cuda() for d in data)
    big, stream = torch.randn(8192, 8192, device="cuda"), torch.cuda.Stream()
    torch.cuda.synchronize()
    for explicit in (False, True):
        late = torch.full_like(x, float("nan"))
        with torch.cuda.stream(stream):
            big @ big
            late.copy_(x)
        if explicit:
            # Torch's current stream is another one; DLPack makes this stream wait for it and no more.
            out = torch.full((5, 32), float("nan"), device="cuda")
            torch.cuda.current_stream().wait_stream(stream)
            y = both(late, w, out=out, stream=stream.cuda_stream)
        with torch.cuda.stream(stream):
            y = y if explicit else both(late, w)
            late.fill_(float("nan"))
        stream.synchronize()
        assert error(y.cpu().numpy(), layer_reference(*data)) < 1e-5


def test_ten_thousand_calls_on_the_gpu_leak_nothing(both, data):
    torch = _torch_on_a_gpu()
    x, w = (torch.from_numpy(d).cuda() for d in data)

    def calls(count):
        for i in range(count):
            both(x, w)
            with pytest.raises(tricot.Error):
                both(x, w.T)
            if i % 100 == 0:
                torch.cuda.synchronize()
        torch.cuda.synchronize()
        gc.collect()
        torch.cuda.empty_cache()

    calls(1000)
    device, host = torch.cuda.mem_get_info()[0], resident_kib()
    calls(10_000)
    assert device - torch.cuda.mem_get_info()[0] < 1 << 21
    assert resident_kib() - host < 4096


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


def test_a_kernel_of_the_users_own_runs():
    """The hand-written kernel of examples/custom_op, and the body where it does not fit."""
    torch = _torch_on_a_gpu()
    text = (ROOT / "examples/custom_op/gate.tri").read_text().replace("microseconds = 2.5", "always = true")
    module = tricot.compile(text, target="sm_90a")
    assert any("gate_f32" in ptx for ptx in module.stages["ptx"].values())
    generator = torch.Generator().manual_seed(11)
    for rows in (1, 37, 4096):
        x, w, gain = (torch.randn(s, generator=generator) for s in ((rows, 96), (96, 64), (64,)))
        got = module(x.cuda(), w.cuda(), gain.cuda()).cpu()
        h = x.double() @ w.double()
        assert error(got, (h * torch.sigmoid(1.702 * h) * gain.double()) ** 2) < 1e-5


@pytest.fixture
def exact_eager():
    """Eager without TF32, which is no reference."""
    torch = _torch_on_a_gpu()
    torch._dynamo.reset()
    torch.manual_seed(5)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    yield torch
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def test_resnet50_of_torchvision_matches_eager(exact_eager):
    torch, models = exact_eager, pytest.importorskip("torchvision.models")
    import tricot.torch as tt

    model = models.resnet50().cuda().eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.randn(2, 3, 224, 224, device="cuda")
    with torch.no_grad():
        got, eager = torch.compile(model, backend="tricot")(x), model(x)
    assert error(got.cpu(), eager.cpu()) < 2e-5
    report = tt.reports()[-1]
    assert len(report.subgraphs) == 1 and not report.left, str(report)


def test_the_simplex_block_matches_eager_on_the_gpu(exact_eager):
    torch = exact_eager
    import tricot.torch as tt

    block, x = simplex_block(torch, torch.float32)
    block, x = block.cuda(), x.cuda()
    with torch.no_grad():
        assert error(torch.compile(block, backend="tricot")(x).cpu(), block(x).cpu()) < 1e-5
    report = tt.reports()[-1]
    assert len(report.subgraphs) == 1 and not report.left, str(report)
    torch._dynamo.reset()
    half = block.bfloat16()
    with torch.no_grad():
        got, eager = torch.compile(half, backend="tricot")(x), half(x)
        exact = block.double()(x.double()).cpu()
    assert error(got.float().cpu(), exact) < 1.3 * error(eager.float().cpu(), exact)
