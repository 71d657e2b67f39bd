"""Devices that speak the vendors' protocols byte by byte, for tests and for trying without hardware."""
