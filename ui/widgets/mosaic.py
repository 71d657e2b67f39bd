"""The camera mosaic: one view large, the others as tiles beside or below it."""

from __future__ import annotations

# ruff: noqa: N802
from PyQt6.QtCore import QRect, pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QWidget

from ui import theme
from ui.widgets.camera_tile import HEADER_PX, Tile

_GAP_PX = 8
_SMALL_SHARE = 0.27
_MOST_IN_COLUMN = 4
_ASPECT = 4 / 3


class Mosaic(QWidget):
    """Places tiles; the numbers stay with their views, only the large place changes.

    Args:
        parent: Owner.
        numbered: Digits choose the large view; else `choose_next` does.
    """

    largeChanged = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None, *, numbered: bool = True) -> None:
        super().__init__(parent)
        self._numbered = numbered
        self._tiles: list[Tile] = []
        self._large: Tile | None = None
        self.setMinimumSize(theme.grid(40), theme.grid(28))

    @property
    def tiles(self) -> tuple[Tile, ...]:
        """The views in the order of their numbers."""
        return tuple(self._tiles)

    @property
    def large(self) -> str:
        """Name of the large view, empty when there is none."""
        return self._large.name if self._large is not None else ""

    def add(self, tile: Tile, position: int | None = None) -> None:
        """Adds a view at a place in the numbering, at the end by default."""
        tile.setParent(self)
        self._tiles.insert(len(self._tiles) if position is None else position, tile)
        tile.clicked.connect(lambda t=tile: self.set_large(t))
        tile.show()
        for number, each in enumerate(self._tiles, start=1):
            each.set_number(number if self._numbered else 0)
        if self._large is None:
            self.set_large(tile)
        else:
            tile.set_large(False)
            self._arrange()

    def choose(self, number: int) -> None:
        """Brings the view with a number to the large place; a number nobody has does nothing."""
        if 1 <= number <= len(self._tiles):
            self.set_large(self._tiles[number - 1])

    def choose_next(self) -> None:
        """Brings the view after the large one to the large place."""
        if self._large is not None:
            self.set_large(self._tiles[(self._tiles.index(self._large) + 1) % len(self._tiles)])

    def choose_named(self, name: str) -> bool:
        """Brings a view to the large place by its name; returns whether there is one."""
        for tile in self._tiles:
            if tile.name == name:
                self.set_large(tile)
                return True
        return False

    def set_large(self, tile: Tile) -> None:
        """Brings a view to the large place."""
        if tile is self._large:
            return
        self._large = tile
        for each in self._tiles:
            each.set_large(each is tile)
        self._arrange()
        self.largeChanged.emit(tile.name)

    def resizeEvent(self, a0: QResizeEvent | None) -> None:
        """Places the views anew."""
        super().resizeEvent(a0)
        self._arrange()

    def _arrange(self) -> None:
        if self._large is None:
            return
        small = [tile for tile in self._tiles if tile is not self._large]
        if not small:
            self._large.setGeometry(self.rect())
            return
        large, places = places_for(self.rect(), len(small))
        self._large.setGeometry(large)
        for tile, place in zip(small, places, strict=True):
            tile.setGeometry(place)


def places_for(room: QRect, small: int) -> tuple[QRect, list[QRect]]:
    """Returns the large place and those of `small` tiles, in a column or two on the right."""
    rows = min(max(small, 3), _MOST_IN_COLUMN)
    columns = -(-small // _MOST_IN_COLUMN)
    height = (room.height() - (rows - 1) * _GAP_PX) // rows
    widest = int(room.width() * _SMALL_SHARE)
    width = min(widest // columns, round((height - HEADER_PX) * _ASPECT) + 4)
    side = columns * width + columns * _GAP_PX
    large = QRect(room.x(), room.y(), room.width() - side, room.height())
    places = []
    tile_height = min(height, round(width / _ASPECT) + HEADER_PX)
    if rows <= small or small > 1:
        tile_height = min(height, (room.height() - (min(small, rows) - 1) * _GAP_PX) // min(small, rows))
    for index in range(small):
        column, row = divmod(index, _MOST_IN_COLUMN)
        x = large.right() + 1 + _GAP_PX + column * (width + _GAP_PX)
        y = room.y() + row * (tile_height + _GAP_PX)
        places.append(QRect(x, y, width, tile_height))
    return large, places
