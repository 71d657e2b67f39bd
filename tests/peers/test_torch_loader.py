"""A real DataLoader of torch takes our dataset as it is."""

import site
from pathlib import Path

from recorders.synthetic import synthetic_header, write_synthetic

PROBE = Path(__file__).parent / "torch_loader_probe.py"
ROOT = Path(__file__).parents[2]


def test_batches_of_two_workers_are_the_samples(run_peer, tmp_path):
    (tmp_path / "store").mkdir()
    for seconds in (0.6, 0.3):
        write_synthetic(tmp_path / "store", seconds, synthetic_header(width=64, height=48))
    told = run_peer(PROBE, str(ROOT), site.getsitepackages()[0], tmp_path / "store")
    assert told["length"] == told["fork"] == told["spawn"] == 27
    assert told["wrong"] == 0
    assert told["shapes"]["observation.images.overhead"] == [3, 48, 64, 3]
    assert told["shapes"]["action"] == [3, 3, 14]
    assert told["shapes"]["action_is_pad"] == [3, 3]
