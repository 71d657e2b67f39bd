"""The station: one file a process, and the client that windows and scripts use."""
