"""The file of an ablation: what comes along is good, what is wrong is said all at once."""

import pytest
import yaml

from contest.errors import UserError
from jdart.config import IPAdapterConfig, load_config
from jdart.config.idle import contrary_settings, idle_settings
from jdart.trying.ablation import load_ablation, shipped_ablations
from jdart.trying.sharing import drawing_of_training
from jdart.trying.trials import all_trials


def write(path, methods, **more):
    path.write_text(yaml.safe_dump({"methods": methods, **more}))
    return str(path)


def method(name="a", **settings):
    return {"what": "Something.", "variants": [{"name": name, "set": settings}]}


def test_what_comes_along_is_good():
    assert "methods" in shipped_ablations()
    for name in shipped_ablations():
        trials = load_ablation(name)
        configs = [trials.plain, *(config for variants in trials.variants.values() for config in variants.values())]
        for config in configs:
            assert (idle_settings(config), contrary_settings(config)) == ([], []), config.name
        for title, every in trials.ablation.methods.items():
            assert len(every.tried) == (3 if every.config is None else 1), f"{title}: three strengths, or a recipe"
            assert every.what.endswith("."), title


def test_a_variant_is_the_plain_run_and_its_own_settings(tmp_path):
    methods = {"styleid": method("g", **{"generate.styleid.gamma": 0.3}), "steps": method("9", **{"train.steps": 9})}
    path = write(tmp_path / "a.yaml", methods, set={"generate.styleid": None, "generate.strength": 0.7})
    trials = load_ablation(path, ["train.learning_rate=0.002"], str(tmp_path / "out"), styles=["00"])
    plain = load_config("demo", ["generate.strength=0.7", "train.learning_rate=0.002"], styles=["00"])
    assert trials.plain.generate == plain.generate and trials.plain.train == plain.train
    own = trials.variants["styleid"]["g"]
    assert own.generate.styleid.gamma == 0.3, "a section that is null in the file is made"
    assert (own.train, own.styles) == (plain.train, ("00",))
    assert trials.variants["steps"]["9"].generate == plain.generate


def test_a_recipe_has_what_holds_for_all_and_then_its_own(tmp_path):
    changes = {"data.size": 64, "contest": "toy", "references": "toy", "base.model": "toy", "score.weights": "toy"}
    methods = {"safe": {"what": "Something.", "config": "safe", "set": {"train.steps": 9}}}
    path = write(tmp_path / "a.yaml", methods, set=changes)
    trials = load_ablation(path, ["train.batch_size=2"], str(tmp_path / "out"), styles=["00"])
    own, safe = trials.variants["safe"][""], load_config("safe")
    assert (own.lora, own.prior, own.generate) == (safe.lora, safe.prior, safe.generate)
    assert (own.train.steps, own.train.batch_size, own.data.size) == (9, 2, 64)
    assert (own.contest, own.base.model, own.styles) == ("toy", "toy", ("00",))
    run = all_trials(trials, 1)[1]
    assert (run.name, run.seed, run.folder) == (
        "safe",
        trials.plain.seed,
        tmp_path / "out" / "runs" / "safe" / "seed-0",
    )


def test_a_search_is_no_part_of_training(tmp_path):
    methods = {"a": method(search={"candidates": 2}), "b": method(**{"generate.guidance_scale": 5.0})}
    plain, searched, other = all_trials(load_ablation(write(tmp_path / "a.yaml", methods)), 1)
    assert plain.trained.output == searched.trained.output == other.trained.output
    assert searched.config.search.candidates == 2 and searched.trained.search is None


def test_what_is_trained_alike_is_trained_in_one_place(tmp_path):
    methods = {
        "drawing": method("a", **{"generate.guidance_scale": 5.0}),
        "training": method("a", **{"train.noise_offset": 0.1}),
        "rank": method("a", **{"lora.r": 2}),
        "token": method("a", token={"placeholder": "<s>"}, data={"template": "{object} in <s>"}),
    }
    trials = all_trials(load_ablation(write(tmp_path / "a.yaml", methods)), 2)
    places = {(trial.method, trial.seed): trial.trained.output for trial in trials}
    assert all(places[name, 0] == places[name, 1] for name in methods), "whatever the seed of the pictures"
    assert places["drawing", 0] == places["plain", 0]
    assert len(set(places.values())) == 4
    assert len({trial.config.output for trial in trials}) == len(trials) == 10


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"a": method(**{"generate.x": 1})}, ["methods.a a", "generate.x: unknown setting"]),
        (
            {"a": method(**{"generate.strength": 2}), "b": method(**{"train.steps": "many"})},
            ["methods.a a: generate.strength: 2.0", "methods.b a: train.steps: 'many'"],
        ),
        ({"a": method(**{"generate.strength": 0.85})}, ["methods.a a: what it sets changes nothing"]),
        ({"a": method(**{"generate.batch_size": 3})}, ["methods.a a: what it sets changes nothing"]),
        ({"a": method(**{"base.model": "other"})}, ["methods.a.variants[0].set: base.model is not for a variant"]),
        ({"a": method(**{"train..steps": 3})}, ["methods.a a: write the setting as section.key"]),
        ({"a": method(**{"train.steps.x": 3})}, ["methods.a a: steps is not a section"]),
        ({"a": method("../a", **{"train.steps": 3})}, ["methods.a.variants[0].name: '../a'"]),
        ({"plain": method(**{"train.steps": 3})}, ["methods: 'plain'"]),
        ({"a/b": method(**{"train.steps": 3})}, ["methods: 'a/b'"]),
        ({"a": {"what": "x"}}, ["methods.a.variants: list at least one"]),
        ({"a": {"variants": [{"name": "b", "set": {"train.steps": 3}}]}}, ["methods.a.what: say in one line"]),
        ({"a": {"what": "x", "variants": [{"name": "b"}]}}, ["methods.a.variants[0].set: name at least one"]),
        ({"a": {"what": "x", "variants": [{"set": {"train.steps": 3}}]}}, ["methods.a.variants[0].name: give"]),
        ({"a": {"what": "x", "variants": [{"name": 0.3}]}}, ["methods.a.variants[0].name: 0.3 is not text"]),
        ({"a": {**method(**{"train.steps": 3}), "soruce": "x"}}, ["methods.a.soruce: unknown setting"]),
        ({"a": "x"}, ["methods.a: must be a section"]),
        ({"a": {"what": "x", "config": "nothing"}}, ["nothing: no such configuration; recipes: aggressive, "]),
        ({"a": {"what": "x", "config": ""}}, ["methods.a.config: name a recipe"]),
        ({"a": {"what": "x", "config": "demo"}}, ["methods.a: what it sets changes nothing"]),
        (
            {"a": {"what": "x", "config": "safe"}},
            ["methods.a: another contest, references, base, score than"],
        ),
        ({"a": {"what": "x", "config": "demo", "set": {"seed": 3}}}, ["methods.a.set: seed is not for a variant"]),
        ({"a": {"what": "x", "config": "demo", "set": {"train.x": 3}}}, ["methods.a: train.x: unknown setting"]),
        ({"a": {"config": "demo", **method(**{"train.steps": 3})}}, ["methods.a.variants: a recipe is tried as it is"]),
        ({"a": {"set": {"lora.r": 2}, **method(**{"train.steps": 3})}}, ["methods.a.set: changes a recipe; name it"]),
        (
            {"a": {"what": "x", "variants": method(**{"train.steps": 3})["variants"] * 2}},
            ["methods.a.variants: a is there twice"],
        ),
    ],
)
def test_problems(methods, words, tmp_path):
    path = write(tmp_path / "a.yaml", methods)
    with pytest.raises(UserError) as caught:
        load_ablation(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_no_file():
    with pytest.raises(UserError, match="no such ablation; those that come along: methods, recipes"):
        load_ablation("nothing")


def test_what_each_run_has_of_its_own_is_not_set(tmp_path):
    path = write(tmp_path / "a.yaml", {"a": method(**{"train.steps": 3})})
    for key in ("output", "name"):
        with pytest.raises(UserError, match=f"set: {key} is each run's own"):
            load_ablation(path, [f"{key}=here"])
    with pytest.raises(UserError, match="--output: must not be empty"):
        load_ablation(path, output="")


def test_a_training_knows_the_encoder_of_the_adapter_that_it_learns_and_not_how_it_is_looked_through():
    plain = load_config("demo")
    images = "generate.ip_adapter={encoder: dino, image_encoder: folder, scale: 0.3}"
    own = drawing_of_training(plain.generate, load_config("demo", ["train.ip_adapter={}", images]))
    assert own.ip_adapter == IPAdapterConfig(encoder="dino", image_encoder="folder")
    assert drawing_of_training(plain.generate, plain) == plain.generate
