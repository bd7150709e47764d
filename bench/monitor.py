"""Clocks, power and temperature of the GPU while it works, sampled every 20 ms through NVML.

The central type is `Monitor`. Without the `pynvml` module it reads a running `nvidia-smi` instead; without either it has no samples, and says so.
"""

import subprocess
import threading
import time
from dataclasses import dataclass

PERIOD = 0.02
QUERY = "clocks.sm,clocks.mem,power.draw,temperature.gpu,clocks_event_reasons.active"


@dataclass
class Sample:
    time: float
    sm: float
    memory: float
    watts: float
    celsius: float
    reasons: int


class Monitor:
    """Samples in a thread until `close`."""

    def __init__(self, ordinal=0):
        self.samples, self.source, self.stopped = [], "none", threading.Event()
        self.smi = None
        try:
            import pynvml

            pynvml.nvmlInit()
            handle, self.source = pynvml.nvmlDeviceGetHandleByIndex(ordinal), "pynvml"
            self.thread = threading.Thread(target=self._nvml, args=(pynvml, handle), daemon=True)
        except Exception:
            command = ["nvidia-smi", f"--id={ordinal}", f"--query-gpu={QUERY}", "--format=csv,noheader,nounits", "-lms", "20"]
            try:
                self.smi = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                self.source = "nvidia-smi"
            except OSError:
                return
            self.thread = threading.Thread(target=self._lines, daemon=True)
        self.thread.start()

    def _nvml(self, nvml, handle):
        # Newer versions call the reasons by another name.
        reasons = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None) or nvml.nvmlDeviceGetCurrentClocksThrottleReasons
        while not self.stopped.wait(PERIOD):
            try:
                self.samples.append(
                    Sample(
                        time.perf_counter(),
                        nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
                        nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM),
                        nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
                        nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
                        reasons(handle),
                    )
                )
            except nvml.NVMLError:
                continue

    def _lines(self):
        for line in self.smi.stdout:
            try:
                sm, memory, watts, celsius, reasons = [f.strip() for f in line.split(",")]
                self.samples.append(Sample(time.perf_counter(), float(sm), float(memory), float(watts), float(celsius), int(reasons, 16)))
            except ValueError:
                continue

    def between(self, start, end):
        """Means over a stretch of `time.perf_counter`, or of the nearest sample where the stretch is shorter than the period."""
        inside = [s for s in list(self.samples) if start <= s.time <= end] or [s for s in list(self.samples)[-1:] if s.time >= start - 0.1]
        if not inside:
            return None
        mean = lambda field: sum(getattr(s, field) for s in inside) / len(inside)
        reasons = 0
        for s in inside:
            reasons |= s.reasons
        return {"sm_mhz": mean("sm"), "memory_mhz": mean("memory"), "watts": mean("watts"), "celsius": mean("celsius"), "throttle": hex(reasons)}

    def close(self):
        self.stopped.set()
        if self.smi:
            self.smi.terminate()
