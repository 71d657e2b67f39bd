"""Dataset exporters."""
