"""Clock, types, configuration, bus and shared-memory rings that every other package builds on."""
