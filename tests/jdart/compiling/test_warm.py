"""`jdart warm`, with the stages that it runs taken away, and what the doctor says of it."""

import platform

import pytest
from click.testing import CliRunner

from jdart.cli import main
from jdart.compiling import warm
from jdart.config.reading import recipes
from jdart.data.facts import style_pictures
from jdart.data.layout import picture_folder
from jdart.runs.folder import contest_of


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Jittor's cache folder in a home of its own, with a core in it."""
    import jittor

    folder = tmp_path / ".cache" / "jittor" / "jt1.3.11" / "g++12.2.0" / f"py{platform.python_version()}" / "os" / "cpu"
    (folder / "jit").mkdir(parents=True)
    (folder / "jittor_core.so").touch()
    monkeypatch.setattr(warm, "jittor_home", lambda: tmp_path)
    monkeypatch.setattr("jdart.runtime.start", lambda device: jittor)
    monkeypatch.setattr(jittor, "flags", type("Flags", (), {"cache_path": str(folder)}))
    return folder


@pytest.fixture
def ran(cache, monkeypatch):
    """The settings that were run; each compiles a kernel of its own."""
    settings = []

    def run(config):
        (cache / "jit" / f"{len(settings)}.so").touch()
        settings.append(config)

    monkeypatch.setattr(warm, "_run", run)
    return settings


def test_every_recipe_once(cache, ran):
    assert warm.found() == (True, [], 0)
    done = list(warm.warm())
    assert [each.recipe for each in done] == list(recipes()) and all(each.made > 0 for each in done)
    assert sum(each.made for each in done) == len(ran)
    assert warm.found() == (True, list(recipes()), len(ran))
    before = len(ran)
    said = CliRunner().invoke(main, ["warm"])
    assert said.exit_code == 0 and said.output.splitlines() == [f"{name}: there already" for name in recipes()]
    assert len(ran) == before


def test_both_starts_of_a_recipe_that_has_the_average_image(tmp_path):
    strengths = [config.generate.strength for config in warm.small("demo", tmp_path)]
    assert strengths == [None, 0.85]
    assert all(config.train.steps == warm.STEPS for config in warm.small("demo", tmp_path))
    assert all(config.prior.images_per_prompt == 1 for config in warm.small("safe", tmp_path))
    assert all(config.prior.steps == warm.STEPS for config in warm.small("safe", tmp_path))


def test_a_recipes_methods_are_in_its_few_steps(tmp_path):
    (white,), (blend,), (booth,) = (
        warm.small(name, tmp_path) for name in ("working-white", "styleblend", "stylebooth")
    )
    best = warm.small("jdart-best", tmp_path)
    assert white.generate.style_prompting.first == 0 and booth.generate.styleid.steps == warm.STEPS
    assert blend.generate.style_blend is not None
    assert (blend.train.composition.pictures, blend.train.composition.steps) == (1, warm.STEPS)
    assert all(config.generate.colour.guidance.first == 0 and config.search is None for config in best)


@pytest.mark.parametrize("change", ["core gone", "stamp damaged", "jdart changed"])
def test_a_stamp_that_is_no_longer_true_counts_for_nothing(change, cache, ran, monkeypatch):
    list(warm.warm(["demo"]))
    if change == "core gone":
        (cache / "jittor_core.so").unlink()
    elif change == "stamp damaged":
        (cache / warm.STAMP).write_text("[]")
    else:
        monkeypatch.setattr(warm, "_key", lambda: {"jdart": "another"})
    assert warm.found()[:2] == (change != "core gone", [])


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_becomes_a_few_steps_of_the_toy_contest(recipe, tmp_path):
    """Whatever its references, layout and story are."""
    for config in warm.small(recipe, tmp_path):
        (style,) = contest_of(config).styles
        assert style_pictures(picture_folder(config.references, config.data.layout, style), style, config.data)
        assert config.generate.num_images_per_prompt == 1
