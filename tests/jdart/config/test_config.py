"""Configurations: what comes with jdart loads, what is wrong is said all at once."""

import dataclasses

import pytest

from contest.errors import UserError
from jdart.config import Config, from_mapping, load_config, recipes, said, to_mapping
from jdart.config.idle import contrary_settings, idle_settings


def test_every_recipe_loads_and_survives_a_round_trip():
    entries = {
        "baseline",
        "safe",
        "aggressive",
        "pad-pad-eos",
        "stylebooth",
        "jittor-5-b",
        "working-white",
        "styleblend",
    }
    assert {*entries, "baseline-jdiffusion", "dualanodiff", "kolors", "jdart-best", "demo", "story"} == set(recipes())
    for name in recipes():
        config = load_config(name)
        assert from_mapping(to_mapping(config)) == config


def test_the_published_settings():
    baseline, safe, aggressive = (load_config(name) for name in ("baseline", "safe", "aggressive"))
    assert (baseline.lora.r, baseline.train.steps, baseline.generate.steps) == (4, 800, 25)
    assert (safe.lora.r, safe.prior.weight, safe.generate.strength, safe.generate.steps) == (
        32,
        1.0,
        0.9,
        40,
    )
    assert (aggressive.lora.r, aggressive.text_encoder_lora.r, aggressive.train.steps) == (64, 8, 1200)
    assert aggressive.train.text_encoder_learning_rate == pytest.approx(0.1 * aggressive.train.learning_rate)
    for config in (baseline, safe, aggressive):
        assert config.data.template == "an image of {object} in style_{id}"
        assert (config.train.learning_rate, config.train.adam_weight_decay, config.train.max_grad_norm) == (
            1e-4,
            1e-2,
            1.0,
        )
        assert config.lora.alpha == config.lora.r


def test_the_example_of_the_contest():
    """The arguments of JDiffusion's examples/dreambooth (train_all.sh, run_all.py), and what its code makes of them."""
    config = load_config("baseline-jdiffusion")
    train, data = config.train, config.data
    assert config.lora.target_modules == ("to_q", "to_k", "to_v")
    assert (config.lora.r, config.lora.alpha, config.text_encoder_lora.r) == (4, 4, 0)
    assert (train.steps, train.batch_size, train.gradient_accumulation_steps, train.lr_warmup_steps) == (500, 1, 1, 0)
    assert (train.learning_rate, train.lr_scheduler, train.max_grad_norm) == (1e-4, "constant", None)
    assert (train.adam_beta1, train.adam_beta2, train.adam_weight_decay, train.adam_epsilon) == (0.9, 0.999, 1e-2, 1e-8)
    assert not config.prior.used
    assert data.caption.format(object="cow", id="07") == "style_07"
    assert data.template.format(object="cow", id="07") == "cow in style_07"
    assert (config.generate.steps, config.generate.guidance_scale, data.size) == (25, 7.5, 512)


def test_the_published_settings_of_board_b():
    """What the repositories' scripts and configurations say; docs/recipes.md names them."""
    pad, booth, packed = (load_config(name) for name in ("pad-pad-eos", "stylebooth", "jittor-5-b"))
    white, blend = load_config("working-white"), load_config("styleblend")
    assert (pad.lora.r, pad.prior.mixture, pad.prior.images_per_prompt, pad.generate.strength) == (32, 0.5, 5, 0.8)
    assert pad.train.learning_rate == pytest.approx(1e-4 * pad.train.batch_size)
    assert pad.train.steps * pad.train.batch_size == 4 * 512, "epochs of so many pictures"
    assert (booth.lora.r, booth.lora.lora_dropout, booth.data.flip, booth.data.rotation) == (4, 0.01, True, 10)
    own = booth.generate.styleid
    assert (own.gamma, own.temperature, own.layers, own.steps) == (0.7, 1.5, 5, 50)
    assert packed.train.packed and packed.lora.r * 28 == packed.text_encoder_lora.r * 28 == 896
    assert (packed.train.steps, packed.train.learning_rate, packed.generate.steps) == (40000, 1e-5, 100)
    assert (
        packed.data.caption.format(object="cow", id="07") + packed.data.flip_caption == "style_07, cow, horizontal_flip"
    )
    assert (white.lora.r, white.train.steps, white.train.lr_warmup_steps) == (4, 5000, 200)
    assert (white.generate.sampler, white.generate.steps) == ("dpmpp_2m", 50)
    prompting = white.generate.style_prompting
    assert (prompting.first, prompting.last, prompting.layers) == (10 / 50, 1, (-3, -2, -1))
    middle = blend.generate.style_blend
    assert [n for n in range(16) if middle.middle_first <= (n + 0.5) / 16 < middle.middle_last] == [4, 5, 6, 7, 8, 9]
    assert (middle.lora_weight, middle.queries_until, middle.keys_values_until) == (0.3, 0.8, 0.6)
    composition = blend.train.composition
    assert (composition.pictures, composition.keep, composition.steps, composition.r) == (15, 10, 300, 16)
    for config in (pad, booth, packed, white, blend):
        assert (config.contest, config.generate.guidance_scale) == ("jittor-style-b", 7.5)


def test_the_settings_of_a_guide_to_defects():
    """Of DualAnoDiff, docs/recipes.md; its train.sh has batches of 4, its inference 500 pictures and these words."""
    config = load_config("dualanodiff")
    assert (config.lora.r, config.text_encoder_lora.r, config.train.learning_rate) == (32, 32, 2e-5)
    assert (config.train.steps, config.train.batch_size, config.seed) == (5000, 2, 32)
    assert (config.data.layout, config.data.caption, config.data.template) == (
        "mvtec",
        "a vfx with sks",
        "a vfx with sks",
    )
    drawn = config.generate
    assert (drawn.steps, drawn.guidance_scale, drawn.num_images_per_prompt) == (100, 2.5, 500)


def test_ours_has_no_post_processing():
    best, safe = load_config("jdart-best"), load_config("safe")
    assert best.generate.colour.finish is None
    assert (best.lora, best.train, best.prior, best.generate.strength) == (safe.lora, safe.train, safe.prior, 0.9)


def test_no_recipe_gives_what_does_nothing():
    assert {name: idle_settings(load_config(name)) for name in recipes()} == {name: [] for name in recipes()}


@pytest.mark.parametrize(
    ("given", "cured"),
    [
        ("prior.steps=9", "prior.weight=1.0"),
        ("data.prior_template=a {object}", "generate.origin_scale=0.5"),
        ("text_encoder_lora.lora_alpha=3", "text_encoder_lora.r=2"),
        ("train.text_encoder_learning_rate=0.1", "text_encoder_lora.r=2"),
        ("train.lr_warmup_steps=9", "train.lr_scheduler=constant_with_warmup"),
        ("train.style_loss_max_timestep=99", "train.style_loss_weight=0.1"),
        ("train.log_snr_mean=-3.0", "train.timesteps=style_friendly"),
        ("train.log_snr_std=3.0", "train.timesteps=style_friendly"),
        ("validation.images=2", "validation.steps=9"),
        ("validation.min_delta=0.1", "validation={steps: 9, patience: 2, min_delta: 0.1}"),
        ("generate.negative_prompt=grey", "generate.guidance_scale=2.0"),
        ("generate.guidance_rescale=0.7", "overrides={'00': {prompts: {Dog: {guidance_scale: 3.0}}}}"),
        ("generate.colour={}", "generate.colour={finish: {}}"),
        ("generate.start={mean: 0}", "generate.start.leak=pixel"),
    ],
)
def test_what_is_given_and_does_nothing_is_named(given, cured):
    plain = ["generate.guidance_scale=1.0"]
    key = given.partition("=")[0]
    (line,) = idle_settings(load_config("baseline", [*plain, given]))
    assert line.startswith(f"{key}: ") and "does nothing" in line
    assert idle_settings(load_config("baseline", [*plain, given, cured])) == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            ["generate.colour.guidance={rotations: 9}"],
            "generate.colour.guidance.rotations: 9 does nothing with matching",
        ),
        (
            ["generate.colour.guidance={matching: sliced, balance: 0.5}"],
            "generate.colour.guidance.balance: 0.5 does nothing with matching: sliced",
        ),
        (["train.composition={}"], "train.composition: is learnt, and nothing is drawn with it"),
        (["train.ip_adapter={}"], "train.ip_adapter: is learnt, and nothing is drawn with it"),
        (
            ["train.composition={}", "generate.style_blend={queries_until: 0, keys_values_until: 0}"],
            "generate.style_blend: does nothing with queries_until",
        ),
    ],
)
def test_parts_of_methods_that_do_nothing_are_named(given, line):
    (found,) = idle_settings(load_config("baseline", given))
    assert found.startswith(line)


def test_noise_levels_that_are_chosen_twice_are_named():
    styled = load_config("baseline", ["train.timesteps=style_friendly"])
    assert contrary_settings(styled) == []
    (line,) = contrary_settings(load_config("baseline", ["train.timesteps=style_friendly", "train.snr_gamma=5.0"]))
    assert line.startswith("train.snr_gamma: 5 weighs")
    assert contrary_settings(load_config("baseline", ["train.snr_gamma=5.0", "train.timesteps=uniform"])) == []


def test_settings_of_noise_levels_are_said_where_they_are_set():
    assert not {"timesteps", "log_snr_mean", "log_snr_std"} & set(said(load_config("baseline"))["train"])
    found = said(load_config("baseline", ["train.timesteps=style_friendly", "train.log_snr_mean=-4.0"]))["train"]
    assert (found["timesteps"], found["log_snr_mean"], "log_snr_std" in found) == ("style_friendly", -4.0, False)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.lr=0.1", ["train.lr: unknown setting", "learning_rate"]),
        ("train.learning_rate=1e-4", ["train.learning_rate: '1e-4' is text to YAML", "1.0e-04"]),
        ("train.steps=many", ["train.steps: 'many' is text"]),
        ("train.steps=0", ["train.steps: 0 is below 1"]),
        ("train.steps=2.5", ["train.steps: 2.5 is not a whole number"]),
        ("lora.r=0", ["lora.r: 0 is below 1"]),
        ("text_encoder_lora.r=-1", ["text_encoder_lora.r: -1 is below 0"]),
        ("lora=4", ["lora: must be a section"]),
        ("lora.target_modules=[]", ["lora.target_modules"]),
        ("data.size=100", ["data.size: 100 is not a multiple of 8"]),
        ("data.template='a {thing}'", ["data.template: only {object} and {id}"]),
        ("generate.sampler=magic", ["generate.sampler: 'magic'", "ddim"]),
        ("generate.strength=1.5", ["generate.strength: 1.5"]),
        ("generate.strength=0.01", ["leaves no step"]),
        ("train.lr_scheduler=stairs", ["train.lr_scheduler", "cosine"]),
        ("lora.init_from=''", ["lora.init_from: name a LoRA file"]),
        ("text_encoder_lora={r: 2, init_from: x}", ["text_encoder_lora.init_from: lora.init_from names the file"]),
        ("train.also=onnx", ["train.also: 'onnx'", "kohya, peft, bin"]),
        ("train.also=[kohya, 1]", ["train.also", "is not a list of texts"]),
        ("data.instance_prompt='{x}'", ["data.instance_prompt: only {object} and {id}"]),
        ("data={instance_prompt: a, captions: txt}", ["data.instance_prompt: takes the place of captions: txt"]),
        ("styles=00", ["styles: 0 is not a list"]),
        ("seed=-1", ["seed: -1"]),
        ("seed=true", ["seed: True is not a whole number"]),
        ("name=", ["name: must not be empty"]),
        ("steps", ["write it as section.key=value"]),
        ("name.x=1", ["name is not a section"]),
        ("train.composition.caption='{object} {x}'", ["train.composition.caption: only {object} and {id}"]),
        ("train.composition.prompt='{object} {'", ["train.composition.prompt: only {object} and {id}"]),
        (
            "generate={colour: {guidance: {}}, sampler: ddim, steps: 4}",
            ["guidance.first, last: none of 4 steps", "take more steps"],
        ),
        ("seed=[", ["not a YAML value"]),
    ],
)
def test_bad_settings(override, words):
    with pytest.raises(UserError) as error:
        load_config("demo", [override])
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("setting", ["use_dora=true", "rank_by_noise={min: 2}"])
def test_a_lora_that_cannot_be_weighed_in_one_branch_is_refused_before_it_is_trained(setting):
    blend = ["train.composition={}", "generate.style_blend={}"]
    with pytest.raises(UserError, match=f"lora.{setting.partition('=')[0]}: generate.style_blend cannot weigh"):
        load_config("demo", [*blend, f"lora.{setting}"])


def test_all_problems_in_one_message(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("lora: {r: 0}\ntrain: {steps: x, foo: 1}\nseed: -3\n")
    with pytest.raises(UserError) as error:
        load_config(str(path))
    for word in ("lora.r", "train.steps", "train.foo"):
        assert word in str(error.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "\t"])
def test_files_that_are_no_configuration(text, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="bad.yaml"):
        load_config(str(path))


def test_an_unknown_name_lists_the_recipes():
    with pytest.raises(UserError, match="recipes: .*demo"):
        load_config("nothing")


def test_zero_is_a_value_not_unset(tmp_path):
    (tmp_path / "c.yaml").write_text("seed: 0\ngenerate: {guidance_scale: 0}\ntrain: {max_grad_norm: null}\n")
    config = load_config(str(tmp_path / "c.yaml"))
    assert (config.seed, config.generate.guidance_scale, config.train.max_grad_norm) == (0, 0.0, None)


def test_the_printed_configuration_is_the_same_configuration(tmp_path):
    from click.testing import CliRunner

    from jdart.cli import main

    printed = CliRunner().invoke(main, ["config", "aggressive", "--set", "train.steps=7"])
    (tmp_path / "again.yaml").write_text(printed.output)
    assert load_config(str(tmp_path / "again.yaml")) == load_config("aggressive", ["train.steps=7"])
    assert CliRunner().invoke(main, ["config"]).output.split() == list(recipes())


def test_every_field_of_every_section_has_an_effect_on_equality():
    """A setting that from_mapping drops would make two different files equal."""
    flat = to_mapping(Config())
    assert set(flat) == {field.name for field in dataclasses.fields(Config)}
