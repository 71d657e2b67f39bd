"""Client of openpi's policy servers, and of others that speak their protocol, as our own do.

After the metadata, one observation a message, one answer with `actions` (H, K) and `server_timing`; an error
is a text message, after which the server hangs up. What our own servers take beyond the protocol is named
`teleop/...`, and only sent when the metadata offers it.
"""

from __future__ import annotations

from typing import Any

from teleop_app.autonomy.clients.answers import (
    checked_chunk,
    checked_samples,
    facts_of,
    number_or_nan,
    server_ns,
    teleop_block,
)
from teleop_app.autonomy.clients.channel import WebSocketChannel, WebSocketOptions
from teleop_app.core.errors import PolicyError
from teleop_app.core.policy import (
    PolicyAnswer,
    PolicyContext,
    PolicyDriver,
    PolicyFacts,
    PolicyKind,
    PolicyRequest,
)


class OpenpiPolicy:
    """A `Policy` on a server of openpi's protocol.

    Args:
        context: Of the station.
        options: Where the server is.
    """

    def __init__(self, context: PolicyContext, options: WebSocketOptions) -> None:
        self._channel = WebSocketChannel(options, self._read_facts, context.clock)
        self._facts = PolicyFacts()
        self._offers_reset = False
        self._reset_due = True

    def open(self) -> PolicyFacts:
        """Connect; see `Policy.open`."""
        self._facts = self._channel.open()
        self._reset_due = True
        return self._facts

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Ask for a chunk; see `Policy.infer`."""
        answer = self._channel.ask(dict(request.observation) | self._extras(request))
        server = self._channel.server
        if not isinstance(answer, dict) or "actions" not in answer:
            told = ", ".join(map(str, answer))[:200] if isinstance(answer, dict) else type(answer).__name__
            raise PolicyError(
                f"The answer of the policy server {server} has no actions", why=f"it is: {told}"
            )
        chunk = checked_chunk(answer["actions"], self._facts, server)
        samples = checked_samples(answer.get("teleop/samples"), chunk, server)
        self._reset_due = False
        return PolicyAnswer(
            actions=chunk,
            samples=samples,
            server_ns=server_ns(answer),
            uncertainty=number_or_nan(answer.get("teleop/uncertainty")),
        )

    def reset(self) -> None:
        """Told with the next question, to servers that take it; openpi's own policies keep no state."""
        self._reset_due = True

    def close(self) -> None:
        """Disconnect; see `Policy.close`."""
        self._channel.close()

    def _read_facts(self, metadata: Any) -> PolicyFacts:
        self._offers_reset = teleop_block(metadata, self._channel.server).reset
        return facts_of(metadata, self._channel.server)

    def _extras(self, request: PolicyRequest) -> dict[str, Any]:
        extras: dict[str, Any] = {}
        if self._facts.prefix and request.prefix is not None:
            extras["teleop/prefix"] = request.prefix.actions
            extras["teleop/frozen"] = request.prefix.frozen
            extras["teleop/weights"] = request.prefix.weights
        if self._facts.samples and request.samples > 1:
            extras["teleop/samples"] = request.samples
        if self._offers_reset and self._reset_due:
            extras["teleop/reset"] = True
        return extras


DRIVER = PolicyDriver(
    name="openpi",
    title="openpi server (WebSocket)",
    kind=PolicyKind.CLIENT,
    make=OpenpiPolicy,
    options=WebSocketOptions,
    proof="Tested against openpi's own server, and our server with openpi's own client.",
)
