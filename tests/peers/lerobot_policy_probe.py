"""Runs under the genuine lerobot's own Python: makes a small policy and tells what it answers.

python lerobot_policy_probe.py FOLDER OBSERVATION.npz OUT.npy

Saves an ACT policy of random weights with its processors in FOLDER, and its chunk for an observation with
LeRobot's own functions in OUT.
"""

import json
import sys

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_pre_post_processors
from lerobot.policies.utils import prepare_observation_for_inference

CAMERA = "observation.images.top"


def make(folder):
    torch.manual_seed(3)
    config = ACTConfig(
        device="cpu",
        chunk_size=6,
        n_action_steps=6,
        dim_model=32,
        n_heads=2,
        dim_feedforward=32,
        n_encoder_layers=1,
        n_decoder_layers=1,
        use_vae=False,
        pretrained_backbone_weights=None,
        input_features={
            "observation.state": PolicyFeature(FeatureType.STATE, (7,)),
            CAMERA: PolicyFeature(FeatureType.VISUAL, (3, 48, 64)),
        },
        output_features={"action": PolicyFeature(FeatureType.ACTION, (7,))},
    )
    policy = ACTPolicy(config)
    rng = np.random.default_rng(5)
    stats = {
        name: {
            "mean": torch.tensor(rng.normal(size=shape), dtype=torch.float32),
            "std": torch.tensor(rng.uniform(0.5, 2.0, size=shape), dtype=torch.float32),
        }
        for name, shape in (("observation.state", 7), ("action", 7), (CAMERA, (3, 1, 1)))
    }
    before, after = make_pre_post_processors(config, dataset_stats=stats)
    for part in (policy, before, after):
        part.save_pretrained(folder)
    return policy.eval(), before, after


def answer(policy, before, after, observation):
    seen = prepare_observation_for_inference(dict(observation), torch.device("cpu"), "wave", "")
    with torch.inference_mode():
        chunk = policy.predict_action_chunk(before(seen))
        return np.stack([after(chunk[:, step]).numpy()[0] for step in range(chunk.shape[1])])


if __name__ == "__main__":
    folder, observation, out = sys.argv[1:]
    np.save(out, answer(*make(folder), np.load(observation)))
    print(json.dumps({"torch": torch.__version__}))
