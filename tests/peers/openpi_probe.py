"""Runs openpi's own client and server in the peers' environment.

python openpi_probe.py client URL [KEY]   asks a server; what it saw as JSON on stdout
python openpi_probe.py refused URL [KEY]  the same for one that shall not be let in
python openpi_probe.py server PORT        serves a policy until it is killed
python openpi_probe.py latency URL N      N questions with two pictures; milliseconds beyond the server's own
"""

import json
import sys
import time

import numpy as np
from openpi_client.base_policy import BasePolicy
from openpi_client.websocket_client_policy import WebsocketClientPolicy

DTYPES = ("?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "f", "d", "U3", "S3")


def arrays():
    """One array of every type, and scalars."""
    found = {f"array_{code}": (np.arange(6) % 2).astype(code).reshape(2, 3) for code in DTYPES}
    found |= {"empty": np.zeros((0, 4), np.float32), "nothing": np.float32(1.5), "count": np.int64(-3)}
    return found | {
        "prompt": "grüß\nthe cube",
        "nested": {"state": np.linspace(0, 1, 7), "list": [1, 2.5, None]},
    }


def pictures():
    picture = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    return {"image/base": picture, "image/wrist": picture.copy(), "state": np.zeros(14), "prompt": "x"}


def client(url, key=None):
    policy = WebsocketClientPolicy(url, api_key=key)
    answers = [policy.infer(arrays()) for _ in range(2)]
    actions = answers[0]["actions"]
    try:
        policy.infer({"fail": True})
        error = ""
    except RuntimeError as raised:
        error = str(raised)
    return {
        "metadata": plain(policy.get_server_metadata()),
        "shape": actions.shape,
        "dtype": actions.dtype.str,
        "actions": actions.tolist(),
        "timing": [sorted(answer["server_timing"]) for answer in answers],
        "keys": sorted(answers[0]),
        "error": error,
    }


def plain(value):
    """For JSON."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def refused(url, key=None):
    try:
        WebsocketClientPolicy(url, api_key=key)
    except Exception as raised:
        return {"error": f"{type(raised).__name__}: {raised}"}
    return {"error": ""}


class Doubled(BasePolicy):
    """Answers with twice the state, as many actions as it was asked."""

    def infer(self, obs):
        if "fail" in obs:
            raise ValueError("this policy fails on request")
        return {
            "actions": np.tile(2.0 * obs["state"].astype(np.float32), (int(obs.get("horizon", 4)), 1)),
            "seen": {
                key: [value.dtype.str, list(value.shape)]
                for key, value in obs.items()
                if hasattr(value, "dtype")
            },
        }


def server(port):
    from openpi_server import WebsocketPolicyServer

    metadata = {"reset_pose": np.zeros(7), "robot": "aloha", "teleop": {"version": "abc", "action_dim": 7}}
    WebsocketPolicyServer(Doubled(), host="127.0.0.1", port=int(port), metadata=metadata).serve_forever()


def latency(url, number):
    policy, observation = WebsocketClientPolicy(url), pictures()
    taken = []
    for _ in range(int(number)):
        began = time.perf_counter()
        answer = policy.infer(observation)
        taken.append((time.perf_counter() - began) * 1e3 - answer["server_timing"]["infer_ms"])
    return {"ms": taken}


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
