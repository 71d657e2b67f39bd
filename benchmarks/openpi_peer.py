"""openpi's own client and server, in the peers' environment; run by `benchmarks.policy_client` alone."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

HORIZON = 16


def observation() -> dict[str, Any]:
    """Two pictures of noise, a state and a text, as a two-camera policy reads them."""
    rng = np.random.default_rng(0)
    pictures = {name: rng.integers(0, 255, (224, 224, 3), np.uint8) for name in ("image/base", "image/wrist")}
    return pictures | {"state": np.linspace(0.0, 1.0, 14), "prompt": "pick up the cube"}


class Hold:
    """Repeats the state."""

    def infer(self, obs: dict[str, Any]) -> dict[str, Any]:
        return {"actions": np.tile(obs["state"], (HORIZON, 1))}


def serve(port: int) -> None:
    """Until it is killed."""
    from openpi_server import WebsocketPolicyServer

    WebsocketPolicyServer(Hold(), host="127.0.0.1", port=port).serve_forever()


def ask(url: str, questions: int) -> dict[str, Any]:
    """Milliseconds of each question beyond the server's own inference."""
    from openpi_client.websocket_client_policy import WebsocketClientPolicy

    policy, content, taken = WebsocketClientPolicy(url), observation(), []
    for _ in range(questions):
        began = time.perf_counter()
        answer = policy.infer(content)
        taken.append((time.perf_counter() - began) * 1e3 - answer["server_timing"]["infer_ms"])
    return {"ms": taken}


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    if "port" in settings:
        serve(settings["port"])
    else:
        print(json.dumps(ask(settings["url"], settings["questions"])))
