"""What is measured: shapes, and the graph text Tricot compiles for each of them.

The central type is `Case`. A case names its suite, its sizes, the work it counts and the model text. It knows no tensor library, no peer
and no clock, so that bundles can be built where there is no GPU. Operands that are weights in a real model are inputs here: every
contender then reads the same tensors, and bundles stay small.

Counting: FLOPs are 2 for a multiply-add; sparse products count the dense work; attention counts the pairs that take part; bytes are what must
move once, outputs included.
"""

from dataclasses import dataclass, field, replace

SUITES = ("gemm", "fp8", "sp24", "ffn", "attention", "trilinear", "conv", "embedding", "block")


@dataclass(frozen=True)
class Case:
    suite: str
    name: str
    text: str
    sizes: dict
    flops: float
    bytes: float
    dtype: str = "bf16"
    # What a dry run uses in place of `sizes`: the same case, small enough for a processor core.
    tiny: dict = field(default_factory=dict)
    # Part of `--quick`.
    quick: bool = False
    # Flags of `tricot build` beside the target.
    flags: tuple = ()

    @property
    def id(self):
        return f"{self.suite}-{self.name}"

    def resized(self, **sizes):
        """The same case at other sizes, under the same name."""
        return replace(MAKERS[self.suite](self.name, {**self.sizes, **sizes}), quick=self.quick)


def gemm(name, s):
    """y = x w, all row-major."""
    m, n, k, dtype = s["m"], s["n"], s["k"], s.get("dtype", "bf16")
    text = f"""module @gemm

func @main(%x: {dtype}[{m}, {k}], %w: {dtype}[{k}, {n}]) {{
  %y = core.contract %x, %w {{dtype = {dtype}, spec = "mk,kn->mn"}} : {dtype}[{m}, {n}]
  return "y" = %y
}}
"""
    return Case("gemm", name, text, s, 2.0 * m * n * k, 2.0 * (m * k + k * n + m * n), dtype, {"m": 64, "n": 96, "k": 128})


def fp8(name, s):
    """y = (x w^T) with a scale for each row of x and of w; 8-bit operands, bf16 result."""
    m, n, k = s["m"], s["n"], s["k"]
    text = f"""module @fp8

func @main(%x: f8e4m3[{m}, {k}], %w: f8e4m3[{n}, {k}], %sx: f32[{m}], %sw: f32[{n}]) {{
  %p = core.contract %x, %w {{dtype = f32, spec = "mk,nk->mn"}} : f32[{m}, {n}]
  %a = core.broadcast %sx {{axes = [0], shape = [{m}, {n}]}} : f32[{m}, {n}]
  %b = core.broadcast %sw {{axes = [1], shape = [{m}, {n}]}} : f32[{m}, {n}]
  %pa = core.map %p, %a {{fn = "mul"}} : f32[{m}, {n}]
  %pb = core.map %pa, %b {{fn = "mul"}} : f32[{m}, {n}]
  %y = core.cast %pb {{to = bf16}} : bf16[{m}, {n}]
  return "y" = %y
}}
"""
    moved = m * k + n * k + 4.0 * (m + n) + 2.0 * m * n
    return Case("fp8", name, text, s, 2.0 * m * n * k, moved, "f8e4m3", {"m": 64, "n": 96, "k": 128})


def sp24(name, s):
    """y[t, n] = x[t, k] W^T with W[n, k] 2:4 sparse and compressed."""
    t, n, k, dtype = s["t"], s["n"], s["k"], s.get("dtype", "bf16")
    size = 1 if dtype == "f8e4m3" else 2
    text = f"""module @sp24

func @main(%values: {dtype}[{n}, {k // 2}], %meta: u8[{n}, {k // 8}], %x: {dtype}[{t}, {k}]) {{
  %c = core.transpose %x {{perm = [1, 0]}} : {dtype}[{k}, {t}]
  %o = sparse24.matmul %values, %meta, %c {{dtype = bf16}} : bf16[{n}, {t}]
  %y = core.transpose %o {{perm = [1, 0]}} : bf16[{t}, {n}]
  return "y" = %y
}}
"""
    moved = size * (n * k / 2 + t * k) + n * k / 8 + 2.0 * t * n
    return Case("sp24", name, text, s, 2.0 * t * n * k, moved, dtype, {"t": 64, "n": 128, "k": 256})


def ffn(name, s):
    """y = relu(x W1 + b)^2 W2; `sparse` keeps the best two of four activations, which drops next to nothing at 92 % zeros."""
    t, d, f = s["t"], s["d"], s["f"]
    wide, last = f"[{t}, {f}]", "k" if s.get("sparse") else "s"
    lines = [
        f'  %h = core.contract %x, %w1 {{dtype = f32, spec = "td,df->tf"}} : f32{wide}',
        f"  %bf = core.cast %b {{to = f32}} : f32[{f}]",
        f"  %bs = core.broadcast %bf {{axes = [1], shape = {wide}}} : f32{wide}",
        f'  %hb = core.map %h, %bs {{fn = "add"}} : f32{wide}',
        # Rounded where torch's addmm rounds.
        f"  %hr = core.cast %hb {{to = bf16}} : bf16{wide}",
        f'  %r = core.map %hr {{fn = "relu"}} : bf16{wide}',
        f'  %s = core.map %r {{fn = "square"}} : bf16{wide}',
    ]
    if s.get("sparse"):
        lines.append(f"  %k = sparse24.select %s {{axis = 1}} : bf16{wide}")
    lines.append(f'  %y = core.contract %{last}, %w2 {{dtype = bf16, spec = "tf,fd->td"}} : bf16[{t}, {d}]')
    text = f"""module @ffn

func @main(%x: bf16[{t}, {d}], %w1: bf16[{d}, {f}], %b: bf16[{f}], %w2: bf16[{f}, {d}]) {{
{chr(10).join(lines)}
  return "y" = %y
}}
"""
    moved = 2.0 * (2 * t * d + 2 * d * f)
    return Case("ffn", name, text, s, 4.0 * t * d * f, moved, "bf16", {"t": 64, "d": 128, "f": 256})


def attention(name, s):
    b, n, h, g, d, causal = s["b"], s["s"], s["h"], s["g"], s["d"], s["causal"]
    q, kv = f"bf16[{b}, {n}, {h}, {d}]", f"bf16[{b}, {n}, {g}, {d}]"
    text = f"""module @attention

func @main(%q: {q}, %k: {kv}, %v: {kv}) {{
  %o, %lse = nn.attention %q, %k, %v {{causal = {str(causal).lower()}, scale = {d**-0.5!r}}} : {q}, f32[{b}, {h}, {n}]
  return "o" = %o
}}
"""
    pairs = b * h * (n * (n + 1) / 2 if causal else n * n)
    tiny = {"b": 1, "s": 64, "h": 2, "g": 2 if h == g else 1}
    return Case("attention", name, text, s, 4.0 * pairs * d, 4.0 * b * n * d * (h + g), "bf16", tiny)


def trilinear(name, s):
    b, n, h, g, d, w1, w2 = s["b"], s["s"], s["h"], s["g"], s["d"], s["w1"], s["w2"]
    q, kv = f"bf16[{b}, {n}, {h}, {d}]", f"bf16[{b}, {n}, {g}, {d}]"
    text = f"""module @trilinear

func @main(%q: {q}, %k1: {kv}, %k2: {kv}, %v1: {kv}, %v2: {kv}) {{
  %o, %lse = trilinear.attention %q, %k1, %k2, %v1, %v2 {{scale = {d**-0.5!r}, w1 = {w1}, w2 = {w2}}} : {q}, f32[{b}, {h}, {n}]
  return "o" = %o, "lse" = %lse
}}
"""
    pairs = b * h * sum(min(i + 1, w1) * min(i + 1, w2) for i in range(n))
    moved = 2.0 * b * n * d * (2 * h + 4 * g) + 4.0 * b * h * n
    tiny = {"b": 1, "s": 48, "h": 16, "w1": 4, "w2": 16}
    return Case("trilinear", name, text, s, 4.0 * pairs * d, moved, "bf16", tiny)


def conv(name, s):
    """3x3, stride 1, same size; images and filters channels-last, as the peer likes them."""
    n, c, f, hw, dtype = s["n"], s["c"], s["f"], s["hw"], s["dtype"]
    image, filters = f"{dtype}[{n}, {hw}, {hw}, {c}]", f"{dtype}[{f}, 3, 3, {c}]"
    text = f"""module @conv

func @main(%x: {image}, %w: {filters}) {{
  %xc = core.transpose %x {{perm = [0, 3, 1, 2]}} : {dtype}[{n}, {c}, {hw}, {hw}]
  %wc = core.transpose %w {{perm = [0, 3, 1, 2]}} : {dtype}[{f}, {c}, 3, 3]
  %c = nn.conv2d %xc, %wc {{dilation = [1, 1], groups = 1, pad = [1, 1, 1, 1], stride = [1, 1]}} : {dtype}[{n}, {f}, {hw}, {hw}]
  %y = core.transpose %c {{perm = [0, 2, 3, 1]}} : {dtype}[{n}, {hw}, {hw}, {f}]
  return "y" = %y
}}
"""
    size = 4 if dtype == "f32" else 2
    moved = size * (n * hw * hw * (c + f) + 9 * c * f)
    tiny = {"n": 1, "c": 16, "f": 16, "hw": 8}
    flags = ("--max-rel-err", "0.01") if s.get("budget") else ()
    return Case("conv", name, text, s, 18.0 * n * hw * hw * c * f, moved, dtype, tiny, flags=flags)


# Look-ups of one sample in each of the 26 tables of MLPerf's DLRM v2.
MULTI_HOT = (3, 2, 1, 2, 6, 1, 1, 1, 1, 7, 3, 8, 1, 6, 9, 5, 1, 1, 1, 12, 100, 27, 10, 3, 1, 1)


def hots(s):
    """Look-ups of a sample by table."""
    return MULTI_HOT if s["hot"] == "multi" else (1,) * len(MULTI_HOT)


def embedding(name, s):
    """Sums of rows of 26 tables stored as one; int8 tables carry a scale and a bias for each row."""
    rows, d, dtype = s["rows"], s["d"], s["dtype"]
    bags, look_ups = len(MULTI_HOT) * s["batch"], sum(hots(s)) * s["batch"]
    index = f"%indices: i64[{look_ups}], %offsets: i64[{bags}]"
    if dtype in ("f32", "f16"):
        head = f"%table: {dtype}[{rows}, {d}], {index}"
        op = f'embedding.bag %table, %indices, %offsets {{mode = "sum"}} : {dtype}[{bags}, {d}]'
    else:
        head = f"%table: {dtype}[{rows}, {d}], %scale: f32[{rows}], %bias: f32[{rows}], {index}"
        op = f'embedding.bag_quantized %table, %scale, %bias, %indices, %offsets {{dtype = f32, mode = "sum"}} : f32[{bags}, {d}]'
    text = f"""module @embedding

func @main({head}) {{
  %y = {op}
  return "y" = %y
}}
"""
    row_bytes = {"f32": 4 * d, "f16": 2 * d, "u8": d + 8}[dtype]
    moved = look_ups * (row_bytes + 8.0) + bags * (8 + d * (2 if dtype == "f16" else 4))
    return Case("embedding", name, text, s, float(look_ups * d), moved, dtype, {"rows": 2600, "batch": 4})


def block(name, s):
    """A Llama-style block without rotary embedding: norm, attention, norm, gated FFN, both with residuals."""
    b, n, d, h, g, e, f = s["b"], s["s"], s["d"], s["h"], s["g"], s["e"], s["f"]
    t, x, wide = b * n, f"bf16[{b * n}, {d}]", f"bf16[{b * n}, {f}]"
    q, kv = f"bf16[{b}, {n}, {h}, {e}]", f"bf16[{b}, {n}, {g}, {e}]"

    def product(out, left, right, rows, cols):
        return f'  %{out} = core.contract %{left}, %{right} {{dtype = bf16, spec = "ti,io->to"}} : bf16[{rows}, {cols}]'

    lines = [
        f"  %n1 = nn.rms_norm %x, %g1 {{axis = 1, epsilon = 1e-5}} : {x}",
        product("qf", "n1", "wq", t, h * e), product("kf", "n1", "wk", t, g * e), product("vf", "n1", "wv", t, g * e),
        f"  %q = core.reshape %qf {{shape = [{b}, {n}, {h}, {e}]}} : {q}",
        f"  %k = core.reshape %kf {{shape = [{b}, {n}, {g}, {e}]}} : {kv}",
        f"  %v = core.reshape %vf {{shape = [{b}, {n}, {g}, {e}]}} : {kv}",
        f"  %o, %lse = nn.attention %q, %k, %v {{causal = true, scale = {e**-0.5!r}}} : {q}, f32[{b}, {h}, {n}]",
        f"  %of = core.reshape %o {{shape = [{t}, {h * e}]}} : bf16[{t}, {h * e}]",
        product("p", "of", "wo", t, d),
        f'  %r = core.map %x, %p {{fn = "add"}} : {x}',
        f"  %n2 = nn.rms_norm %r, %g2 {{axis = 1, epsilon = 1e-5}} : {x}",
        product("gate", "n2", "wg", t, f), product("up", "n2", "wu", t, f),
        f"  %act = nn.silu %gate : {wide}",
        f'  %m = core.map %act, %up {{fn = "mul"}} : {wide}',
        product("down", "m", "wd", t, d),
        f'  %y = core.map %r, %down {{fn = "add"}} : {x}',
    ]
    weights = {"wq": (d, h * e), "wk": (d, g * e), "wv": (d, g * e), "wo": (h * e, d), "wg": (d, f), "wu": (d, f), "wd": (f, d)}
    inputs = [f"%x: {x}", f"%g1: bf16[{d}]", f"%g2: bf16[{d}]"] + [f"%{w}: bf16[{i}, {o}]" for w, (i, o) in weights.items()]
    text = f"module @block\n\nfunc @main({', '.join(inputs)}) {{\n" + "\n".join(lines) + '\n  return "y" = %y\n}\n'
    products = sum(i * o for i, o in weights.values())
    flops = 2.0 * t * products + 4.0 * b * h * e * n * (n + 1) / 2
    tiny = {"b": 1, "s": 32, "d": 64, "h": 4, "g": 2, "e": 16, "f": 128}
    return Case("block", name, text, s, flops, 2.0 * (products + 2 * t * d), "bf16", tiny)


MAKERS = {f.__name__: f for f in (gemm, fp8, sp24, ffn, attention, trilinear, conv, embedding, block)}

LLAMA = {"8b-gateup": (28672, 4096), "8b-up": (14336, 4096), "8b-down": (4096, 14336), "70b-up": (28672, 8192)}
LAYERS = (  # channels, side, batches
    (64, 224, (32,)), (128, 28, (32,)), (256, 56, (32,)), (256, 14, (8,)), (512, 28, (8, 32, 128)),
    (512, 14, (8, 32, 128)), (512, 7, (8,)), (640, 32, (8, 32, 128)), (1280, 16, (8, 32, 128)),
)
QUICK = {
    "gemm-8192", "gemm-8b-up", "fp8-8b-up", "fp8-8b-down", "sp24-8b-up", "sp24-8b-down", "sp24-8b-up-f8e4m3", "ffn-d8192-f8192",
    "ffn-d8192-f8192-select", "attention-d64-16k", "attention-d128-16k", "attention-d128-16k-causal", "trilinear-b4-n8192-h128",
    "trilinear-b4-n2048-h128", "conv-c512-28-n32-f16", "conv-c256-56-n32-f16", "conv-c512-28-n32-f32", "embedding-multi-hot-f32",
    "embedding-multi-hot-u8", "block-llama8b-4k",
}


def _all():
    yield gemm("8192", {"m": 8192, "n": 8192, "k": 8192})
    yield gemm("4096", {"m": 4096, "n": 4096, "k": 4096})
    for name, (n, k) in LLAMA.items():
        yield gemm(name, {"m": 4096, "n": n, "k": k})
    yield gemm("decode-m16", {"m": 16, "n": 14336, "k": 4096})
    for name, (n, k) in LLAMA.items():
        yield fp8(name, {"m": 4096, "n": n, "k": k})
    for dtype in ("bf16", "f8e4m3"):
        for name, (n, k) in LLAMA.items():
            yield sp24(name if dtype == "bf16" else f"{name}-{dtype}", {"t": 4096, "n": n, "k": k, "dtype": dtype})
    for sparse in (False, True):
        for d, f in ((8192, 8192), (4096, 21504), (8192, 28672)):
            yield ffn(f"d{d}-f{f}" + "-select" * sparse, {"t": 4096, "d": d, "f": f, "sparse": sparse})
    for d, n, causal in ((64, 16384, 0), (128, 4096, 0), (128, 16384, 0), (128, 16384, 1), (256, 16384, 0)):
        name = f"d{d}-{n // 1024}k" + "-causal" * causal
        yield attention(name, {"b": 1, "s": n, "h": 16, "g": 16, "d": d, "causal": bool(causal)})
    for b, n, h in ((4, 8192, 128), (4, 8192, 64), (4, 2048, 128)):
        yield trilinear(f"b{b}-n{n}-h{h}", {"b": b, "s": n, "h": h, "g": 1, "d": 128, "w1": 32, "w2": 512})
    for dtype in ("f16", "f32"):
        for c, hw, batches in LAYERS:
            for n in batches:
                yield conv(f"c{c}-{hw}-n{n}-{dtype}", {"n": n, "c": c, "f": c, "hw": hw, "dtype": dtype, "budget": True})
    # 10 GB of f32 rows.
    table = {"rows": 20_000_000, "d": 128, "batch": 8192, "spread": "uniform"}
    for hot in ("multi", "one"):
        for dtype in ("f32", "f16", "u8"):
            yield embedding(f"{hot}-hot-{dtype}", {**table, "hot": hot, "dtype": dtype})
    yield embedding("multi-hot-f32-zipf", {**table, "hot": "multi", "dtype": "f32", "spread": "zipf"})
    llama8b = {"d": 4096, "h": 32, "g": 8, "e": 128, "f": 14336}
    yield block("llama8b-4k", {"b": 1, "s": 4096, **llama8b})
    yield block("llama8b-b8-512", {"b": 8, "s": 512, **llama8b})


def all_cases():
    """Every case, in suite order."""
    return [replace(case, quick=case.id in QUICK) for case in _all()]


def select(suites="all", words="", sizes=(), quick=False):
    """Cases by suite (comma-separated, or all) and by part of their name; `sizes` (NAME=VALUE) makes cases of their own from them."""
    chosen = SUITES if suites == "all" else suites.split(",")
    for name in chosen:
        if name not in SUITES:
            raise SystemExit(f"there is no suite `{name}`; there is {', '.join(SUITES)}")
    parts = [w for w in words.split(",") if w]
    found = [c for c in all_cases() if c.suite in chosen and (not parts or any(w in c.id for w in parts))]
    if quick and not parts:
        found = [c for c in found if c.quick]
    if not sizes:
        return found
    changes = dict(_size(s) for s in sizes)
    suffix = "".join(f"-{k}{v}" for k, v in changes.items())
    return [MAKERS[c.suite](c.name + suffix, {**c.sizes, **changes}) for c in found]


def _size(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise SystemExit(f"`{text}` is not NAME=VALUE")
    return name, int(value) if value.lstrip("-").isdigit() else {"true": True, "false": False}.get(value, value)
