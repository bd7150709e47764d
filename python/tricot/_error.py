"""How failures reach Python: one exception, with the diagnostics the compiler or the runtime made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnostic:
    """One problem: what happened, where, and the way out.

    ``code`` is Tricot's error code: TC01xx graphs, TC02xx import, TC03xx rewriting, TC04xx schedule, TC05xx sm_90a,
    TC06xx cpu, TC07xx bundles, TC08xx running, TC09xx files and options, TC10xx internal errors. ``str()`` gives the
    whole text, with the place in the user's model.
    """

    code: str
    severity: str
    message: str
    notes: tuple[str, ...]
    help: str | None
    text: str

    def __str__(self) -> str:
        return self.text


class Error(Exception):
    """Raised by everything in Tricot that fails.

    ``diagnostics`` lists all problems found at once; ``code`` is the code of the first.
    """

    def __init__(self, diagnostics: tuple[Diagnostic, ...] | list[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        self.code = self.diagnostics[0].code if self.diagnostics else "TC1000"
        super().__init__("\n".join(str(d) for d in self.diagnostics))

    def __reduce__(self):
        return (type(self), (self.diagnostics,))


def error(code: str, message: str, help: str | None = None, notes: tuple[str, ...] = ()) -> Error:
    """An :class:`Error` with one diagnostic."""
    lines = [f"error[{code}]: {message}", *(f"  note: {n}" for n in notes)]
    if help is not None:
        lines.append(f"  help: {help}")
    return Error([Diagnostic(code, "error", message, notes, help, "\n".join(lines))])
