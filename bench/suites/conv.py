"""3x3 convolutions, stride 1, channels-last: cuDNN in benchmark mode, which times its plans and keeps the fastest.

f32 rows forbid TF32 on both sides. Filters are N(0, 1/(9 C)).
"""

import torch

from measure import Contender, Peer
from suites.common import Data, Setup, relative_l2, sets_for, some


def prepare(case, device, protocol):
    n, c, f, hw, dtype = (case.sizes[x] for x in ("n", "c", "f", "hw", "dtype"))
    data, sets = Data(device), sets_for(case, device)
    torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, 0
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    inputs = [
        [data.normal((n, hw, hw, c), dtype), data.normal((f, 3, 3, c), dtype, (9 * c) ** -0.5)] for _ in range(sets)
    ]
    images = some(n, 2, device)

    def check(i, outputs, contender):
        """Two images as nine float64 products."""
        x, w = inputs[i][0][images].double(), inputs[i][1].double()
        padded = torch.nn.functional.pad(x, (0, 0, 1, 1, 1, 1))
        want = sum(padded[:, r : r + hw, s : s + hw] @ w[:, r, s].t() for r in range(3) for s in range(3))
        return relative_l2(outputs[0][images], want)

    def cudnn():
        def run(i):
            # Channels-last memory under torch's NCHW names.
            x, w = (t.permute(0, 3, 1, 2) for t in inputs[i])
            return torch.nn.functional.conv2d(x, w, padding=1).permute(0, 2, 3, 1)

        version = f"torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
        return [Contender("cuDNN", run, version, "benchmark mode, all plans")]

    # The budget the bundle was built with, and f32 rounding.
    return Setup(inputs, [Peer("cuDNN", cudnn)], check, 1.2e-2 if case.sizes.get("budget") else 6e-3)
