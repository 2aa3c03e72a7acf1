"""What a micro-batch is made of: counts and orders in closed form, captions, the traps of the prior."""

import numpy as np
import pytest

from contest.errors import UserError
from jdart.config import DataConfig, from_mapping
from jdart.data.seeds import rng_for
from jdart.training.batches import make_batch
from jdart.training.captions import vary
from jdart.training.examples import Examples


def examples(count, first=0, caption="thing {}"):
    """Examples whose latents hold their number."""
    numbers = np.arange(first, first + count, dtype=np.float32).reshape(-1, 1, 1, 1)
    captions = np.array([caption.format(number) for number in range(count)])
    return Examples(np.tile(numbers, (1, 4, 2, 2)), np.zeros((count, 4, 2, 2), np.float32), captions, None)


def batch(config, prior, number, count=5):
    return make_batch(config, "00", examples(count), prior, number)


def numbers(found):
    return found.means[:, 0, 0, 0].astype(int).tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_the_halves_of_a_batch_are_told_apart_at_every_size(size):
    """Trap 4: interleaved [instance, prior] batches cut in half are right only at batch 1."""
    config = from_mapping({"prior": {"weight": 0.5}, "train": {"batch_size": size}})
    found = batch(config, examples(7, first=100), 3)
    assert found.instances == size
    assert numbers(found)[:size] == [(3 * size + i) % 5 for i in range(size)]
    assert numbers(found)[size:] == [100 + (3 * size + i) % 7 for i in range(size)]


@pytest.mark.parametrize("share", [0.5, 0.3, 0.125])
@pytest.mark.parametrize("size", [1, 4])
def test_a_mixture_takes_its_share_exactly_and_uses_every_picture_in_turn(share, size):
    config = from_mapping({"prior": {"mixture": share}, "train": {"batch_size": size}})
    seen = []
    for number in range(80 // size):
        found = batch(config, examples(7, first=100), number)
        assert len(found.means) == size
        assert [n >= 100 for n in numbers(found)] == [i >= found.instances for i in range(size)]
        seen += numbers(found)
    prior = [n - 100 for n in seen if n >= 100]
    assert len(prior) == int(80 * share)
    assert prior == [i % 7 for i in range(len(prior))]
    own = [n for n in seen if n < 100]
    assert own == [i % 5 for i in range(len(own))]


def test_packed_training_goes_through_all_pictures_in_a_new_order_each_time():
    config = from_mapping({"train": {"packed": True, "batch_size": 3}})
    seen = [n for number in range(10) for n in numbers(batch(config, None, number))]
    epochs = [seen[i : i + 5] for i in range(0, 30, 5)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert numbers(batch(config, None, 7)) == seen[21:24], "any batch can be made alone, as after a resume"


def test_a_shared_pool_is_shuffled():
    shared = from_mapping({"prior": {"mixture": 0.5, "pool": "shared"}, "train": {"batch_size": 2}})
    first = [n for number in range(50) for n in numbers(batch(shared, examples(50, first=100), number)) if n >= 100]
    assert sorted(first) == list(range(100, 150))
    assert first != sorted(first)


def test_captions_of_the_prior_are_its_prompts_whatever_happens_to_the_others():
    """Trap 11: prompts for the prior pictures and their training captions must be the same."""
    config = from_mapping({"prior": {"weight": 1.0}, "data": {"caption_dropout": 1.0}, "train": {"batch_size": 2}})
    found = batch(config, examples(2, caption="an image of {}"), 0)
    assert found.captions == ("", "", "an image of 0", "an image of 1")
    plain = from_mapping({"data": {"flip": True, "flip_caption": ", mirrored", "rotation": 9.0}}).data.of_prior()
    assert (plain.flip_caption, plain.rotation, plain.flip) == ("", 0.0, True)


def test_shuffled_captions_hold_the_same_parts_and_keep_the_first():
    settings = DataConfig(caption_shuffle=True, caption_keep=2)
    found = [vary("a, b, c, d, e", settings, rng_for("test", i)) for i in range(200)]
    assert all(text.startswith("a, b, ") and sorted(text.split(", ")) == list("abcde") for text in found)
    assert len(set(found)) == 6
    assert vary("a,b", DataConfig(), rng_for("test")) == "a,b"


def test_dropped_captions_are_as_many_as_asked_for():
    found = [vary("x", DataConfig(caption_dropout=0.25), rng_for("test", i)) for i in range(2000)]
    assert found.count("") == pytest.approx(500, abs=60)


def test_a_batch_draws_captions_anew_and_the_same_again():
    config = from_mapping({"data": {"caption_shuffle": True}})
    own = examples(1, caption="a, b, c, d, e, f")
    texts = [make_batch(config, "00", own, None, n).captions for n in (0, 1, 0)]
    assert texts[0] == texts[2] != texts[1]


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"prior": {"weight": 1.0, "mixture": 0.5}}, "prior.mixture: takes the place of weight"),
        ({"prior": {"mixture": 1.0}}, "not in"),
        ({"prior": {"pool": "all"}}, "there are style, shared"),
        ({"data": {"flip_caption": ", mirrored"}}, "says nothing without flip"),
        ({"data": {"caption_keep": 1}}, "says nothing without caption_shuffle"),
        ({"data": {"rotation": -1.0}}, "rotation"),
        ({"train": {"loraplus_lr_ratio": 2.0, "loraplus_gamma": 1.0}}, "set one of the two"),
        ({"train": {"min_timestep": 5, "max_timestep": 5}}, "not above min_timestep"),
        ({"train": {"min_timestep": 400, "style_loss_weight": 1.0}}, "never counts"),
        ({"train": {"timesteps": "style"}}, "timesteps: 'style'; there are uniform, style_friendly"),
        ({"train": {"log_snr_mean": -21.0}}, "log_snr_mean: -21.0 is not in"),
        ({"train": {"log_snr_std": 0.0}}, "log_snr_std: 0.0 is not in"),
        ({"train": {"packed": True}, "data": {"template": "a {object}"}}, "needs {id}"),
        ({"generate": {"loras": [{"weight": 1.0}]}}, r"generate.loras\[0\].path: must be set"),
        ({"token": {"placeholder": "<s>"}}, "not in data.template"),
        ({"token": {"placeholder": "a b"}}, "take one word"),
        ({"token": {"vectors": 0}}, "not in 1 to 64"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(raw, word):
    with pytest.raises(UserError, match=word):
        from_mapping(raw)
