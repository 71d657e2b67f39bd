"""Contract suites that a driver, ours or a third party's, must pass."""
