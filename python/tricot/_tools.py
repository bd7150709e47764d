"""The programs behind the ``sm_90a`` target: the code generator this wheel ships, and NVIDIA's assembler, which it does not."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path

#: Older ones miscompile tensor-core kernels.
MIN_PTXAS = (13, 3)


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
    """``ptxas`` of an installed ``nvidia-cuda-nvcc`` wheel (``pip install tricot[cuda]``), the newest that is new enough.

    ``TRICOT_PTXAS`` comes before it; without either the code generator looks on the path.
    """
    found = [p for folder in sys.path for p in Path(folder or ".").glob("nvidia/*/bin/ptxas")]
    usable = [(version, str(p)) for p in found if (version := _version(p)) >= MIN_PTXAS]
    return max(usable)[1] if usable else None


@functools.lru_cache
def _version(program: Path) -> tuple[int, int]:
    """Its version; (0, 0) if it does not run."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return 0, 0
    release = re.search(r"release (\d+)\.(\d+)", said)
    return (int(release[1]), int(release[2])) if release else (0, 0)
