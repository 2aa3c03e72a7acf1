"""The recipes: each runs on the toy contest, all have the same budget, and a page tells where they come from."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jdart.compiling.warm import few_steps
from jdart.config import recipes
from jdart.lora.formats.reading import load_lora
from jdart.planning.methods import smallest
from jdart.trying.ablation import PLAIN, load_ablation
from jdart.trying.figures import is_scored
from jdart.trying.runner import go, open_runs
from jdart.trying.trials import all_trials

ROOT = Path(__file__).parents[3]
BUDGET = 600  # pictures a style
WHOLE = load_ablation("recipes")
NAMES = [PLAIN, *WHOLE.variants]
ALSO = ("jdart-best-finish", "jdart-best-unsearched")  # recipes of another name, with a setting more or less


def configs(trials):
    return {
        PLAIN: trials.plain,
        **{name: own for name, variants in trials.variants.items() for own in variants.values()},
    }


def seen(config):
    """How many pictures a style's training looks at, by what the settings mean."""
    train, styles = config.train, 3
    batch = train.batch_size * train.gradient_accumulation_steps
    pictures = train.steps * batch * (2 if config.prior.weight > 0 else 1)
    if train.composition is not None:
        pictures += train.composition.steps * train.composition.batch_size
    return pictures / styles if train.packed else pictures


def test_every_recipe_is_compared_with_the_same_budget():
    compared = {WHOLE.ablation.base, *(method.config for method in WHOLE.ablation.methods.values())}
    assert compared == set(recipes()) - {"demo", "story"}  # the two that show the way from the command line
    assert {name: seen(config) for name, config in configs(WHOLE).items()} == dict.fromkeys(NAMES, BUDGET)
    assert f"{BUDGET} pictures a style" in WHOLE.ablation.about


def test_only_one_of_ours_finishes_pixels():
    finished = [
        name
        for name, config in configs(WHOLE).items()
        if config.generate.colour is not None and config.generate.colour.finish is not None
    ]
    assert finished == ["jdart-best-finish"]
    assert WHOLE.ablation.methods["jdart-best-finish"].what.startswith("Post-processing, which")


def test_the_page_of_recipes_has_each_with_its_file_and_source():
    page = (ROOT / "docs" / "recipes.md").read_text("utf-8")
    for name, method in WHOLE.ablation.methods.items():
        assert f"`{method.config}`" in page, name
        assert method.source is None or method.source.partition("github.com/")[2] in page, name


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every recipe as it is compared, but in a few steps and for two prompts of a style; name -> run, of one base."""
    folder = tmp_path_factory.mktemp("recipes")
    shutil.copytree(ROOT / "data" / "sample" / "00", folder / "references" / "00")
    (folder / "references" / "00" / "prompt.json").write_text(json.dumps({"0": "Cat", "1": "Owl"}))
    changes = ["contest=null", f"references={folder / 'references'}"]
    whole = load_ablation("recipes", changes, str(folder / "out"))
    few = {name: {"": fewest(own[""])} for name, own in whole.variants.items()}
    trials = replace(whole, plain=fewest(whole.plain), variants=few)
    return {run.trial.method: run for run in open_runs(all_trials(trials, 1))}


def fewest(config):
    """One step of training, two of drawing, two candidates of a search."""
    few = few_steps(config)
    train = replace(few.train, steps=1, composition=smallest(few.train.composition, 1))
    search = None if config.search is None else replace(config.search, candidates=2, round=2)
    return replace(few, train=train, generate=replace(few.generate, steps=2), search=search)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALSO])
def test_it_runs_on_the_toy_contest(name, runs):
    run = runs[name]
    told = list(go([run], "cpu"))
    assert told[-1].over and is_scored(run.trial)
    pictures = [run.job.folder.image("00", prompt) for prompt in ("Cat", "Owl")]
    pixels = [np.asarray(Image.open(picture)) for picture in pictures]
    assert all(picture.shape == (64, 64, 3) and picture.std() > 0 for picture in pixels)
    assert not np.array_equal(*pixels)
    assert run.job.folder.choices.exists() == (run.trial.config.search is not None)
    config, lora = run.trial.config, load_lora(run.job.folder.lora("00"))
    assert {pair.rank for pair in lora.pairs["unet"].values()} == {config.lora.r}
    assert bool(lora.pairs.get("text_encoder")) == (config.text_encoder_lora.r > 0)
