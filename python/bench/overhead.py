"""What a call costs from Python: a module with one tiny kernel, called again and again with the same sizes.

Prints the median over rounds in microseconds, for NumPy and, where it is installed, torch. The limit is 15 microseconds.

    python python/bench/overhead.py
"""

import statistics
import time

import numpy as np

import tricot

CALLS, ROUNDS, LIMIT = 5000, 9, 15.0


def microseconds(call) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        times.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(times)


def main() -> None:
    g = tricot.Graph("tiny")
    g.output("y", g.input("x", "f32", ["n"]) + 1.0)
    module = tricot.compile(g)
    x, out = np.zeros(8, "float32"), np.zeros(8, "float32")
    shorter = np.zeros(4, "float32")
    measured = {
        "numpy": microseconds(lambda: module(x)),
        "numpy, out=": microseconds(lambda: module(x, out=out)),
        "numpy, two sizes in turn": microseconds(lambda: (module(x), module(shorter))) / 2,
    }
    try:
        import torch
    except ImportError:
        pass
    else:
        t = torch.zeros(8)
        measured["torch"] = microseconds(lambda: module(t))
    for name, value in measured.items():
        print(f"{name:26} {value:6.2f} us{'' if value < LIMIT else '  above the limit'}")
    if max(measured.values()) >= LIMIT:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
