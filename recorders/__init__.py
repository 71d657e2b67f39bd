"""Episodes on disk: writer, reader, video, recovery, verification and exporters."""
