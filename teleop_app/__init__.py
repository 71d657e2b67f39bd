"""Teleoperation application: core types, mapping, safety, control, station processes, CLI."""

__version__ = "0.1.0"
