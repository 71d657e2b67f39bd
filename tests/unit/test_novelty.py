"""What a policy was not trained on is seen in small features of its pictures."""

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest

from recorders.reader import EpisodeReader
from recorders.synthetic import synthetic_header, write_synthetic
from teleop_app.autonomy.novelty import FEATURES, Novelty, features
from teleop_app.commands.policy_novelty import fit_novelty
from teleop_app.core.errors import EpisodeError, PolicyError


def table(rng: np.random.Generator, light: float = 1.0, foreign: bool = False) -> np.ndarray:
    """A table with a cube somewhere on it."""
    picture = np.full((120, 160, 3), (90, 110, 130), dtype=np.float64)
    x, y = rng.integers(20, 120), rng.integers(30, 80)
    picture[y : y + 18, x : x + 18] = (200, 60, 40)
    if foreign:
        picture[10:70, 20:90] = (20, 220, 20)
    noisy = picture * light + rng.normal(0.0, 3.0, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


@functools.cache
def trained() -> Novelty:
    rng = np.random.default_rng(0)
    episodes = [np.stack([features(table(rng)) for _ in range(25)]) for _ in range(8)]
    return Novelty.fit({"top": episodes})


def test_features_have_one_size_for_any_picture() -> None:
    rng = np.random.default_rng(0)
    for shape in ((12, 16, 3), (37, 53, 3), (480, 640, 3), (9, 9, 3)):
        found = features(rng.integers(0, 255, shape, dtype=np.uint8))
        assert found.shape == (FEATURES,) and np.isfinite(found).all()
    assert np.allclose(features(np.full((60, 80, 3), 255, np.uint8))[: 12 * 16 * 3], 1.0)


def test_one_is_the_edge_of_the_training_pictures() -> None:
    novelty, rng = trained(), np.random.default_rng(99)
    usual = [novelty.score({"top": table(rng)}) for _ in range(300)]
    assert 0.0 < np.mean(np.array(usual) > 1.0) < 0.06
    assert novelty.score({"top": table(rng, light=0.5)}) > 2.0
    assert novelty.score({"top": table(rng, foreign=True)}) > 2.0
    assert math.isnan(novelty.score({"wrist": table(rng)}))
    strange = {"top": table(rng), "wrist": table(rng, light=0.3)}
    assert novelty.score(strange) < 1.5  # a camera that it does not know says nothing


def test_a_file_keeps_it(tmp_path: Path) -> None:
    novelty, rng = trained(), np.random.default_rng(1)
    novelty.save(tmp_path / "seen.npz")
    again = Novelty.load(tmp_path / "seen.npz")
    picture = {"top": table(rng)}
    assert again.cameras == ("top",) and again.score(picture) == pytest.approx(novelty.score(picture))
    assert [path.name for path in tmp_path.iterdir()] == ["seen.npz"]


def test_a_file_that_is_no_such_thing_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "seen.npz"
    with pytest.raises(PolicyError, match="cannot be read"):
        Novelty.load(path)
    path.write_bytes(b"no zip")
    with pytest.raises(PolicyError, match="cannot be read"):
        Novelty.load(path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(PolicyError, match="no picture statistics"):
        Novelty.load(path)
    np.savez(path, format=np.array("teleop-novelty-1"), **{"top/mean": np.zeros(3)})
    with pytest.raises(PolicyError, match="cannot be read"):
        Novelty.load(path)
    np.savez(path, format=np.array([{"evil": 1}], dtype=object))
    with pytest.raises(PolicyError, match="cannot be read"):
        Novelty.load(path)
    novelty = trained()
    novelty.save(path)
    with np.load(path) as arrays:
        broken = {**arrays, "top/deviation": np.full_like(arrays["top/deviation"], np.nan)}
    np.savez(path, **broken)
    with pytest.raises(PolicyError, match="make no sense"):
        Novelty.load(path)


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(PolicyError, match="too few pictures of camera 'top'"):
        Novelty.fit({"top": [np.zeros((50, FEATURES))]})


def test_it_is_learned_from_the_pictures_of_episodes(tmp_path: Path) -> None:
    paths = []
    for number in range(2):
        uuid = f"{number:08d}-0000-4000-8000-000000000000"
        header = dataclasses.replace(synthetic_header(width=64, height=48), uuid=uuid)
        paths.append(write_synthetic(tmp_path, 5.5, header).path)
    with EpisodeReader(paths[0]) as reader:
        camera = reader.header.cameras[0].name
        picture = reader.frame(camera, 2 * round(0.5 * reader.header.cameras[0].fps))
    learned = fit_novelty(paths, (camera,))
    assert learned.cameras == (camera,)
    score = learned.score({camera: picture})
    assert score < min(1.2, 0.9 * learned.score({camera: 255 - picture}))
    with pytest.raises(EpisodeError, match="has no camera 'attic'. It has"):
        fit_novelty(paths, ("attic",))
