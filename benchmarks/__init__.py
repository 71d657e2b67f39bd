"""Measurements. Each module is one command: `python -m benchmarks.record --help`; docs/benchmarks.md."""
