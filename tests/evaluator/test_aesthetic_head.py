"""The aesthetic head of the shipped toy: fitted by toylab on its CLIP, labelled, and no more than it says it is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from contest.definition import Contest, Story
from evaluator.metrics.aesthetic import features_to_aesthetic
from evaluator.scoring.gate import score_story
from evaluator.scoring.scorer import Options
from evaluator.weights.folder import AESTHETIC, find_weights

HELD_OUT = Path(__file__).parents[2] / "data" / "held_out" / "01"


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JDART_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield find_weights(Path("toy"))


def test_clean_pictures_score_above_ruined_ones(toy):
    """Told on pictures that the head was not fitted on, with the features as transformers' CLIP gives them."""
    transformers = pytest.importorskip("transformers")
    from evaluator.backbones.colours import CLIP_COLOURS
    from toylab.eyes.sights import normalised, sights

    seen = sights(2001, 400)
    network = transformers.CLIPModel.from_pretrained(toy / "clip-vit-large-patch14").eval()
    with torch.no_grad():
        pictures = normalised(torch.from_numpy(seen.pictures).float() / 255, CLIP_COLOURS)
        features = network.visual_projection(network.vision_model(pixel_values=pictures).pooler_output).numpy()
    head = torch.load(toy / AESTHETIC, weights_only=True)
    scores = features_to_aesthetic(features, head["weight"][0].numpy(), float(head["bias"]))
    goodness = seen.goodness.numpy()
    assert 0.15 < np.corrcoef(scores, goodness)[0, 1] < 0.5
    assert scores[goodness > 0.97].mean() - scores[goodness < 0.3].mean() > 0.3


def test_a_story_of_toy_weights_is_not_comparable(toy):
    rules = Contest("tale", {}, story=Story(3, aesthetic=6.0))
    report = score_story(HELD_OUT, rules, toy, Options(cache=False))
    assert report.reasons == ["toy weights: not comparable with the contest"]
    assert len(report.pictures) == 25
    assert report.mean == pytest.approx(np.mean([one.score for one in report.pictures.values()]))
    assert report.passes == (report.mean >= 6.0)
