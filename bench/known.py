"""What the peers reached on one NVIDIA H200 (132 SMs, driver 580.159, CUDA 13.0, torch 2.11, Triton 3.6, cuDNN 9.19, cuSPARSELt 0.8, JAX 0.11.2;
2026-11-23), beside which a report puts their figures: a peer far below what it can do was not at its best.

TFLOP/s, a range where several runs gave one; microseconds for the embedding bags. Sparse products count the dense work.
"""

H200 = {
    "gemm-8192": {"Mosaic": (808, 808), "cuBLAS": (701, 795)},
    "gemm-8b-up": {"Mosaic": (799, 799), "cuBLAS": (692, 696)},
    "fp8-8b-up": {"_scaled_mm fast": (1360, 1380)},
    "attention-d64-16k": {"cuDNN": (475, 475), "Mosaic": (497, 497)},
    "attention-d128-4k": {"Mosaic": (655, 655)},
    "attention-d128-16k": {"cuDNN": (636, 636), "Mosaic": (703, 703)},
    "attention-d128-16k-causal": {"cuDNN": (627, 627), "Mosaic": (648, 648)},
    "attention-d256-16k": {"cuDNN": (683, 683), "Mosaic": (736, 736)},
    "trilinear-b4-n8192-h128": {"Triton": (344, 344)},
    "trilinear-b4-n8192-h64": {"Triton": (340, 340)},
    "sp24-8b-gateup": {"cuBLAS dense": (796, 796), "cuSPARSELt": (977, 1043)},
    "sp24-8b-up": {"cuBLAS dense": (693, 693), "cuSPARSELt": (1039, 1138)},
    "sp24-8b-down": {"cuBLAS dense": (713, 713), "cuSPARSELt": (1069, 1144)},
    "sp24-70b-up": {"cuBLAS dense": (696, 696), "cuSPARSELt": (1021, 1047)},
    "sp24-8b-gateup-f8e4m3": {"cuBLAS dense": (1376, 1376), "cuSPARSELt": (1780, 1780)},
    "sp24-8b-up-f8e4m3": {"cuBLAS dense": (1380, 1380), "cuSPARSELt": (1694, 1694)},
    "sp24-8b-down-f8e4m3": {"cuBLAS dense": (1380, 1380), "cuSPARSELt": (1628, 1664)},
    "sp24-70b-up-f8e4m3": {"cuBLAS dense": (1359, 1359), "cuSPARSELt": (1834, 1834)},
    "conv-c512-28-n32-f16": {"cuDNN": (731, 731)},
    "conv-c256-56-n32-f16": {"cuDNN": (695, 695)},
    "conv-c512-28-n32-f32": {"cuDNN": (78, 78)},
    "embedding-multi-hot-f32": {"torch": (720, 720), "Triton": (270, 270)},
    "embedding-multi-hot-f16": {"torch": (660, 660), "Triton": (200, 200)},
    "embedding-multi-hot-u8": {"Triton": (220, 220)},
    "embedding-multi-hot-f32-zipf": {"torch": (610, 610), "Triton": (190, 190)},
    "embedding-one-hot-f32": {"torch": (320, 320), "Triton": (133, 133)},
}

# Of peers outside the 5 % band, by suite.
WHY = {
    "gemm": "Products draw 700 W on this H100 and run at 1.33 to 1.39 GHz, where they use 0.87 to 0.96 of the tensor cores: the clock is what is lower. "
    "Mosaic's figure on the H200 is kernel time by CUPTI, here it is time between completions.",
    "fp8": "As for gemm: 0.9 to 0.95 of the tensor cores at 1.27 to 1.32 GHz.",
    "sp24": "As for gemm. bf16 cuSPARSELt, all 16 algorithms with five split-K settings each searched, is further below (0.69 to 0.88 of the H200's) than "
    "the clock of its dense sibling explains; its results are written as [tokens, outputs] here, through the library's own transposition. 8-bit cuSPARSELt is not.",
    "attention": "As for gemm; Mosaic runs in f16 and is timed between completions, not by kernel.",
    "trilinear": "This sweep is wider than the one on the H200: up to 63 settings that ran.",
    "embedding": "Memory: 3.2 TB/s read here, 4.3 TB/s copied on the H200; rows from L2 and one-hot look-ups, which are bound by latency, are alike.",
}


def compared(rows):
    """(case, peer, figure here, range there, here over there) for every peer that is known; above 1 is better here."""
    out = []
    for row in rows:
        for peer, (low, high) in H200.get(row["id"], {}).items():
            entry = row["contenders"].get(peer)
            if not entry or "seconds" not in entry:
                continue
            if row["suite"] == "embedding":
                here = entry["seconds"] * 1e6
                ratio = low / here if here < low else high / here if here > high else 1.0
            else:
                here = entry["tflops"]
                ratio = here / low if here < low else here / high if here > high else 1.0
            out.append((row["id"], peer, here, (low, high), ratio))
    return out
