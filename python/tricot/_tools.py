"""The programs behind the ``sm_90a`` target: the code generator this wheel ships, and NVIDIA's assembler, which it does not."""

from __future__ import annotations

import sys
from pathlib import Path


def sm90_program() -> Path | None:
    """The code generator; None in a wheel built without LLVM."""
    program = Path(__file__).parent / "bin" / "tricot-sm90"
    if not program.is_file():
        return None
    if not program.stat().st_mode & 0o100:
        # Some installers drop the permission.
        program.chmod(program.stat().st_mode | 0o111)
    return program


def ptxas() -> str | None:
    """``ptxas`` of an installed ``nvidia-cuda-nvcc`` wheel (``pip install tricot[cuda]``), or None.

    ``TRICOT_PTXAS`` comes before it; without either the code generator looks on the path.
    """
    for folder in sys.path:
        nvidia = Path(folder) / "nvidia"
        if nvidia.is_dir():
            for program in sorted(nvidia.glob("*/bin/ptxas"), reverse=True):
                return str(program)
    return None
