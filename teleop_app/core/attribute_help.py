"""Help texts of settings, from the docstrings of their models."""

from __future__ import annotations

import inspect
import re

from pydantic import BaseModel

_ATTRIBUTE = re.compile(r"^\s{4}(\w+): (.*)$")


def attribute_help(model: type[BaseModel]) -> dict[str, str]:
    """The sentences of the `Attributes:` part of a model's docstring, and of its bases', by field."""
    helps: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        name = ""
        for line in inspect.cleandoc(kind.__doc__ or "").partition("Attributes:")[2].splitlines():
            started = _ATTRIBUTE.match(line)
            if started:
                name = started[1]
                helps[name] = started[2].strip()
            elif name and line.strip():
                helps[name] += f" {line.strip()}"
    return {name: text for name, text in helps.items() if name in model.model_fields}
