"""The examples of the documentation run and print what they say."""

import contextlib
import io
import re

import pytest

from conftest import ROOT


def _examples(path):
    """Python blocks that are followed by a block of what they print."""
    text = (ROOT / path).read_text()
    return re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("path", ["README.md", "python/README.md", "docs/howto/python.md"])
def test_examples_print_what_they_say(path):
    examples = _examples(path)
    assert examples
    for code, expected in examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, path, "exec"), {})
        assert printed.getvalue() == expected
