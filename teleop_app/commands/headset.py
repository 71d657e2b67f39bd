"""`teleop headset`: pair VR headsets with the station that runs, and decide who of them drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from teleop_app.commands.options import DataDirOption, JsonOption, chosen_data_dir, print_json
from teleop_app.core.config import load_station
from teleop_app.core.errors import StationError
from teleop_app.station.client import StationClient
from teleop_app.station.roster import input_process

DRIVER = "webxr"


def headset(
    revoke: Annotated[bool, typer.Option("--revoke", help="Unpair all headsets.")] = False,
    hand_over: Annotated[bool, typer.Option("--hand-over", help="Let the one drive that asks.")] = False,
    as_json: JsonOption = False,
    data_dir: DataDirOption = None,
) -> None:
    """Show how to pair a VR headset with the station that runs: address, PIN and QR code."""
    client = StationClient.attach(chosen_data_dir(data_dir))
    try:
        process = _process(client)
        if revoke:
            answer = client.call(process, "revoke")
            _say(answer, f"{answer['revoked']} unpaired", as_json)
        elif hand_over:
            answer = client.call(process, "hand_over")
            _say(answer, f"{answer['driver'] or 'Nobody'} drives", as_json)
        else:
            card = client.call(process, "pairing")
            _say(card, "\n".join(_card(card)), as_json)
    finally:
        client.close()


def qr_lines(rows: Sequence[str]) -> list[str]:
    """A QR code in characters of half a height, light on dark as terminals are.

    Args:
        rows: Of modules, `1` dark, `0` light.
    """
    blocks = {"00": "\u2588", "01": "\u2580", "10": "\u2584", "11": " "}
    padded = [*rows, *(["0" * len(rows[0])] if len(rows) % 2 else [])]
    pairs = zip(padded[::2], padded[1::2], strict=True)
    return ["".join(blocks[a + b] for a, b in zip(upper, lower, strict=True)) for upper, lower in pairs]


def _process(client: StationClient) -> str:
    card = client.card()
    config = load_station(Path(card.station_file) if card else client.data.station_file)
    names = [each.name for each in config.inputs.devices if each.driver == DRIVER]
    if not names:
        raise StationError(
            "This station has no headset",
            next_step='Add an [[inputs.devices]] with driver = "webxr" to its station file (docs/vr.md)',
        )
    return input_process(names[0])


def _card(card: dict[str, Any]) -> list[str]:
    clients = [f"  {each['title']}{', connected' if each['connected'] else ''}" for each in card["clients"]]
    return [
        *qr_lines(card["qr"]),
        f"Open {card['url']} in the headset's browser and type the PIN {card['pin']}, or scan the code.",
        f"Fingerprint of the certificate (SHA-256): {card['fingerprint']}",
        *(["Paired:", *clients] if clients else ["No headset is paired yet."]),
    ]


def _say(answer: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        typer.echo(text)
