"""All rows of the matrix.

Rows that fork come before those that talk to a station, and `fuzz` before all: hashing a file starts threads,
which a forked process would wait for in vain.
"""

from __future__ import annotations

from fault_matrix import (
    clock_jumps,
    fills,
    flips,
    fuzz,
    io_faults,
    kills,
    lost_catalog,
    power,
    soak,
    station_kills,
    station_stalls,
)

ROWS = (
    fuzz.ROW,
    kills.ROW,
    power.ROW,
    io_faults.ROW,
    fills.ROW,
    flips.ROW,
    lost_catalog.ROW,
    station_kills.ROW,
    station_stalls.ROW,
    clock_jumps.ROW,
    soak.ROW,
)
