"""Programs that run in the peers' environment and use the genuine LeRobot as its own recorder does.

Each takes one JSON object as its only argument and prints one as its last line. They import nothing of
ours but NumPy-only modules: pictures, barcode and frame grid.
"""
