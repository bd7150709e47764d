"""What a call costs from Python: a module with one tiny kernel, called again and again with the same sizes.

Prints the median over rounds in microseconds, for NumPy, torch on the CPU and torch on a GPU, whichever are there; beside them, what torch itself
takes for the same addition and for an operation of the user's own (`torch.library.custom_op`) that does it. On a GPU the time is that of queuing
the call. The limit is 15 microseconds.

    python python/bench/overhead.py [--json FILE]
"""

import json
import platform
import statistics
import sys
import time

import numpy as np

import tricot

CALLS, ROUNDS, LIMIT = 5000, 9, 15.0


def microseconds(call, finish=lambda: None) -> float:
    times = []
    for _ in range(ROUNDS):
        for _ in range(50):
            call()
        finish()
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        times.append((time.perf_counter() - start) / CALLS * 1e6)
        finish()
    return statistics.median(times)


def graph() -> tricot.Graph:
    g = tricot.Graph("tiny")
    g.output("y", g.input("x", "f32", ["n"]) + 1.0)
    return g


def numpy_calls() -> dict[str, float]:
    module = tricot.compile(graph())
    x, out, shorter = np.zeros(8, "float32"), np.zeros(8, "float32"), np.zeros(4, "float32")
    return {
        "Tricot, NumPy": microseconds(lambda: module(x)),
        "Tricot, NumPy, out=": microseconds(lambda: module(x, out=out)),
        "Tricot, NumPy, two sizes in turn": microseconds(lambda: (module(x), module(shorter))) / 2,
    }


def torch_calls(torch, device: str) -> tuple[dict[str, float], dict[str, float]]:
    """Ours, and torch's own."""
    module = tricot.compile(graph(), target="cpu" if device == "cpu" else "sm_90a")

    @torch.library.custom_op(f"overhead::add_one_{device}", mutates_args=())
    def add_one(x: torch.Tensor) -> torch.Tensor:
        return x + 1.0

    t = torch.zeros(8, device=device)
    out = torch.empty_like(t)
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    # Gradients are off on both sides; torch's dispatcher would otherwise pass through autograd.
    with torch.no_grad():
        assert torch.equal(module(t), t + 1.0) and torch.equal(add_one(t), t + 1.0)
        ours = {
            f"Tricot, torch {device}": microseconds(lambda: module(t), finish),
            f"Tricot, torch {device}, out=": microseconds(lambda: module(t, out=out), finish),
        }
        theirs = {
            f"torch {device}, x + 1.0": microseconds(lambda: t + 1.0, finish),
            f"torch {device}, custom op": microseconds(lambda: add_one(t), finish),
        }
    return ours, theirs


def main() -> None:
    ours, theirs, versions = numpy_calls(), {}, {"python": platform.python_version(), "numpy": np.__version__}
    try:
        import torch
    except ImportError:
        torch = None
    if torch:
        versions["torch"] = torch.__version__
        devices = ["cpu"] + ["cuda"] * torch.cuda.is_available()
        if len(devices) > 1:
            versions["device"] = torch.cuda.get_device_name()
        for device in devices:
            more, own = torch_calls(torch, device)
            ours.update(more)
            theirs.update(own)
    for name, value in {**ours, **theirs}.items():
        print(f"{name:36} {value:6.2f} us{'' if value < LIMIT or name in theirs else '  above the limit'}")
    if "--json" in sys.argv[1:-1]:
        with open(sys.argv[sys.argv.index("--json") + 1], "w") as file:
            json.dump({"versions": versions, "tricot": ours, "others": theirs}, file, indent=1)
    if max(ours.values()) >= LIMIT:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
