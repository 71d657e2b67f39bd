"""All rows of the matrix."""

from __future__ import annotations

from fault_matrix import fills, flips, fuzz, io_faults, kills, lost_catalog, power

ROWS = (kills.ROW, power.ROW, io_faults.ROW, fills.ROW, flips.ROW, lost_catalog.ROW, fuzz.ROW)
