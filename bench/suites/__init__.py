"""The suites: for each, the tensors, the reference and the peers. `prepare(case, device, protocol)` of each module gives a `Setup`."""

import importlib


def prepare(case, device, protocol):
    return importlib.import_module(f"suites.{case.suite}").prepare(case, device, protocol)
