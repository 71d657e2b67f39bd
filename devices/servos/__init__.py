"""Servo buses: the same few operations over the vendors' SDKs."""
