"""Chains of links from Denavit-Hartenberg parameters, as makers publish them."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

from devices.models.robot import Link, Quaternion, Vector, about_x


@dataclass(frozen=True, slots=True)
class Row:
    """A joint of a table, with what is known of its link.

    Attributes:
        a: [m].
        d: [m].
        alpha: [rad].
        lower: [rad].
        upper: [rad].
        velocity: [rad/s].
        mass: [kg].
        radius: Of the capsule that stands for the link [m].
    """

    a: float
    d: float
    alpha: float
    lower: float
    upper: float
    velocity: float
    mass: float
    radius: float


def standard_links(rows: tuple[Row, ...], names: tuple[str, ...]) -> tuple[Link, ...]:
    """Links of a standard (distal) table: Rz(q) Tz(d) Tx(a) Rx(alpha) a row.

    The flange lies at `end_of` the last row, in the frame of the last link.
    """
    links: list[Link] = []
    position, turn = (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)
    for row, name in zip(rows, names, strict=True):
        links.append(_link(name, row, position, turn))
        position, turn = end_of(row)
    return tuple(links)


def end_of(row: Row) -> tuple[Vector, Quaternion]:
    """Where a row of a standard table ends, in the frame of its link."""
    return (row.a, 0.0, row.d), about_x(row.alpha)


def modified_links(rows: tuple[Row, ...], names: tuple[str, ...]) -> tuple[Link, ...]:
    """Links of a modified (proximal, Craig's) table: Rx(alpha) Tx(a) Rz(q) Tz(d) a row.

    The frame of each link is that of its row; the flange of the maker is given in the last one.
    """
    links: list[Link] = []
    for row, name in zip(rows, names, strict=True):
        position = (row.a, -row.d * sin(row.alpha), row.d * cos(row.alpha))
        links.append(_link(name, row, position, about_x(row.alpha)))
    return tuple(links)


def _link(name: str, row: Row, position: Vector, turn: Quaternion) -> Link:
    return Link(name, position, turn, row.lower, row.upper, row.velocity, row.mass, row.radius)
