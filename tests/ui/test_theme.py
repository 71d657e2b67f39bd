"""The palette keeps its promises: exact tokens and readable text on every ground."""

import itertools

import pytest

from ui import theme
from ui.theme import DARK, LIGHT, Role

GROUNDS = (Role.WINDOW, Role.PANEL, Role.RAISED)
TEXT_ROLES = (Role.TEXT, Role.MUTED)
ACCENTS = (Role.HUMAN, Role.POLICY, Role.RECORDING, Role.GOOD, Role.WARNING, Role.FAULT)


def test_contrast_ratio_of_black_on_white_is_the_maximum():
    assert theme.contrast_ratio("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert theme.contrast_ratio("#777777", "#777777") == pytest.approx(1.0)


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda t: t.name)
@pytest.mark.parametrize(("role", "ground"), list(itertools.product(TEXT_ROLES, GROUNDS)))
def test_text_tokens_are_readable_as_they_are(tokens, role, ground):
    assert theme.contrast_ratio(tokens.hex(role), tokens.hex(ground)) >= theme.MIN_CONTRAST


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda t: t.name)
@pytest.mark.parametrize(("role", "ground"), list(itertools.product(ACCENTS, GROUNDS)))
def test_accent_text_is_readable_and_close_to_its_token(tokens, role, ground):
    token, on = tokens.hex(role), tokens.hex(ground)
    written = theme.readable(token, on)
    assert theme.contrast_ratio(written, on) >= theme.MIN_CONTRAST
    shift = max(abs(int(written[i : i + 2], 16) - int(token[i : i + 2], 16)) for i in (1, 3, 5))
    assert shift <= 80


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda t: t.name)
@pytest.mark.parametrize("role", ACCENTS)
def test_text_on_a_filled_accent_is_readable(tokens, role):
    fill = tokens.hex(role)
    assert theme.contrast_ratio(theme.text_on(fill), fill) >= theme.MIN_CONTRAST


def test_apply_switches_tokens_palette_and_font(qapp):
    before = qapp.styleSheet()
    try:
        assert theme.apply(qapp, "light") is LIGHT
        assert theme.tokens() is LIGHT
        assert qapp.palette().window().color().name().upper() == LIGHT.window
        theme.apply(qapp, "dark")
        assert qapp.palette().window().color().name().upper() == DARK.window
        assert qapp.font().pixelSize() == theme.FontSize.BASE
    finally:
        qapp.setStyleSheet(before)


def test_an_unknown_theme_is_refused(qapp):
    with pytest.raises(KeyError):
        theme.apply(qapp, "sepia")


def test_grid_counts_in_eights():
    assert theme.grid(2) == 16
    assert theme.grid(0.5) == 4
