"""MuJoCo 4.0 ships no types for its compiled modules; to the type checker every name in it is Any."""

from typing import Any

def __getattr__(name: str) -> Any: ...
