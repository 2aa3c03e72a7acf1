"""The plan's arithmetic, in closed form, and what it says of a run that cannot begin."""

import dataclasses
import subprocess

import pytest
from click.testing import CliRunner

from contest.errors import UserError
from jdart import runtime
from jdart.cli import main
from jdart.config import ColourConfig, CompositionConfig, load_config
from jdart.config.overrides import StyleOverride
from jdart.config.reading import read_as
from jdart.planning.methods import calls_of_methods, in_every_step, own_ways, smallest, without_methods
from jdart.planning.plan import Costs, Work, estimate, measure_apart

COSTS = Costs(
    start=10.0, style=5.0, step=2.0, look=4.0, encoding=1.0, batch=3.0, call=0.5, memory=1000, device_memory=None,
    lora=100, picture=7, sheet=30,
)  # fmt: skip
STYLE = Work("00", steps=50, encodings=4, batches=2, calls=16, pictures=6)  # 5 + 4 + 100 + 2 * (3 + 4) = 123 s
PRIOR = Work(None, batches=3, calls=60, pictures=9)  # 3 * (3 + 10) = 39 s
NOTHING = Work("09")


def of(count):
    return [PRIOR, *(dataclasses.replace(STYLE, style=f"{n:02}") for n in range(count)), NOTHING]


@pytest.mark.parametrize(
    ("workers", "styles", "seconds"),
    [
        (None, 3, 10 + 39 + 3 * 123),
        (1, 3, 10 + 39 + 3 * (10 + 123)),
        (2, 3, 10 + 39 + 2 * (10 + 123)),
        (4, 3, 10 + 39 + 133),
    ],
)
def test_time(workers, styles, seconds):
    plan = estimate(COSTS, of(styles), workers)
    assert plan.seconds == pytest.approx(seconds)
    assert plan.training_seconds == pytest.approx(styles * 109)
    assert plan.drawing_seconds == pytest.approx(styles * 14 + 39)


def test_disk_and_memory():
    plan = estimate(COSTS, of(3), 2)
    assert plan.lora_bytes == 300
    assert plan.checkpoint_bytes == 900
    assert plan.picture_bytes == (9 + 3 * 6) * 7 + 3 * 30
    assert plan.archive_bytes == 3 * 6 * 7
    assert plan.memory == 2000
    assert plan.disk == 300 + 900 + plan.picture_bytes + plan.archive_bytes


@pytest.mark.parametrize("workers", [None, 2])
def test_nothing_left_needs_no_time_and_no_disk(workers):
    plan = estimate(COSTS, [Work(None), NOTHING], workers)
    assert plan.seconds == 0
    assert plan.disk == 0


def test_validations_and_candidates_count():
    """Each look costs its loss and the batches that it draws; candidates are no part of the archive."""
    looking = dataclasses.replace(STYLE, looks=5, look_batches=2, look_calls=16, candidates=4)
    plain, plan = (estimate(COSTS, [work], None) for work in (STYLE, looking))
    assert plan.training_seconds - plain.training_seconds == pytest.approx(5 * (4 + 2 * (3 + 8 * 0.5)))
    assert plan.drawing_seconds == plain.drawing_seconds
    assert plan.picture_bytes - plain.picture_bytes == 5 * 2 * 7
    assert plain.archive_bytes - plan.archive_bytes == 4 * 7


def test_a_composition_and_what_the_base_draws_as_it_is_count():
    costs = dataclasses.replace(COSTS, plain_call=0.25, composition_step=0.125, composition_lora=50)
    composed = dataclasses.replace(
        STYLE, composition_steps=8, composition_pictures=6, composition_batches=3, composition_calls=12
    )
    own = 8 * 0.125 + 6 * 1.0 + 3 * 3 + 12 * 0.25
    plain, plan = (estimate(costs, [work], None) for work in (STYLE, composed))
    assert plan.training_seconds - plain.training_seconds == pytest.approx(own)
    assert plan.lora_bytes - plain.lora_bytes == 50
    assert plan.picture_bytes - plain.picture_bytes == 6 * 7
    left = dataclasses.replace(composed, steps=0, pictures=0, batches=0, calls=0)
    assert estimate(costs, [left], None).seconds == pytest.approx(10 + own)
    assert (
        estimate(costs, [Work(None, batches=3, plain_calls=60, pictures=9)], None).drawing_seconds == 3 * 3 + 60 * 0.25
    )


def test_methods_are_measured_in_every_step_and_count_at_their_share():
    late = ["generate.colour={guidance: {}, finish: {}}", "generate.style_prompting={first: 0.5, last: 0.75}"]
    settings = load_config("demo", ["generate.strength=null", *late]).generate
    assert (calls_of_methods(settings), settings.calls) == (5 + 2, 20)
    short = dataclasses.replace(in_every_step(settings), steps=1)
    assert calls_of_methods(short) == 1
    plain = without_methods(settings)
    assert plain == load_config("demo", ["generate.strength=null", "generate.colour={finish: {}}"]).generate
    assert without_methods(load_config("demo").generate) == in_every_step(load_config("demo").generate)
    for low in (1.0, 0.85, 0.3, 1 / 49):
        small = smallest(CompositionConfig(strength_min=low, strength_max=1.0, sampling_steps=50), 6)
        assert (small.pictures, small.steps) == (1, 6)


def test_methods_of_overrides_are_ways_of_their_own_and_those_that_cost_alike_one():
    def ways(generate, **overrides):
        config = load_config("demo", [f"{key}={value}" for key, value in generate.items()])
        contest = {"00": ("Moon", "Sun"), "01": ("Moon",), "02": ("Moon",)}
        read = {style: read_as(StyleOverride, own, style) for style, own in overrides.items()}
        return own_ways(dataclasses.replace(config, overrides=read), contest)

    aligned = {"generate.style_aligned": "{last: 0.5}"}
    assert ways({}) == ways(aligned) == []
    assert ways(aligned, **{"00": {"strength": 0.5, "prompts": {"Sun": {"seed": 7}}}}) == []
    own = {
        "00": {"style_aligned": {"reference": "00.png", "shift": 0.5}, "prompts": {"Sun": {"style_aligned": {}}}},
        "01": {"style_aligned": {"reference": "01.png", "last": 0.25}},
        "02": {"style_aligned": {"adain": False}, "colour": {"transport": {}}},
    }
    one, two = ways({}, **own)
    assert (one.colour, one.style_aligned.adain, one.style_aligned.reference) == (None, True, None)
    assert (two.colour.transport.last, two.style_aligned.adain) == (1.0, False)
    (off,) = ways({"generate.colour": "{guidance: {}}"}, **{"00": {"colour": {}}})
    assert off == dataclasses.replace(load_config("demo").generate, colour=ColourConfig())


def test_ways_of_overrides_count_beside_the_runs():
    costs = dataclasses.replace(COSTS, plain_call=0.25, ways=[(4.0, 1.0), (5.0, 2.0)])
    own = dataclasses.replace(STYLE, plain_calls=6, ways=[(1, 2, 10), (0, 1, 3)])
    plain, plan = (estimate(costs, [work], None).drawing_seconds for work in (STYLE, own))
    assert plan - plain == pytest.approx(6 * 0.25 + (2 * 5 + 10 * 2) + (4 + 3 * 1))


def test_a_search_is_told_beside_the_drawing_that_it_stands_for():
    """Its pictures are candidates of every style, drawn to the end; the run's own figures stay."""
    searches = [Work("00", batches=4, calls=32, pictures=12), Work("01", batches=2, calls=10, pictures=6)]
    plan, plain = estimate(COSTS, of(2), None, searches), estimate(COSTS, of(2), None)
    assert plan.searching_seconds == pytest.approx(6 * 3 + 42 * 0.5)
    assert plan.searched == 18
    assert (plan.seconds, plan.drawing_seconds, plan.disk) == (plain.seconds, plain.drawing_seconds, plain.disk)
    assert plain.searching_seconds is None


def test_one_lora_for_all_styles_is_trained_once():
    """Packed training comes before the styles, in a process of its own where there are workers."""
    packed = Work(None, steps=50, encodings=12)  # 5 + 12 + 100 = 117 s
    drawing = [Work(f"{n:02}", batches=2, calls=16, pictures=6) for n in range(3)]  # 14 s each
    assert estimate(COSTS, [packed, *drawing], None).seconds == pytest.approx(10 + 117 + 3 * 14)
    plan = estimate(COSTS, [packed, *drawing], 3)
    assert plan.seconds == pytest.approx(10 + 117 + 10 + 14)
    assert (plan.training_seconds, plan.lora_bytes) == (pytest.approx(117), 100)


@pytest.mark.parametrize("command", ["plan", "run", "train", "generate", "prior"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("notes.txt", "notes.txt: neither a folder nor a checkpoint"),
        ("gone", "gone: no such folder"),
        ("", ": not a diffusers folder"),
    ],
)
def test_a_base_that_is_none_is_said_before_anything_is_started(command, name, said, tmp_path, monkeypatch):
    def started(*arguments, **options):
        pytest.fail("Jittor, or a process, was started first")

    monkeypatch.setattr(runtime, "start", started)
    monkeypatch.setattr(subprocess, "run", started)
    (tmp_path / "notes.txt").write_text("no model")
    given = ["demo", "--output", str(tmp_path / "out"), "--set", f"base.model={tmp_path / name}"]
    result = CliRunner().invoke(main, [command, *given])
    assert result.exit_code == 2
    assert said in result.stderr
    assert "measuring failed" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_no_failed_measurement(tmp_path, monkeypatch):
    """The process that measures looks everything up first, and its words are passed on as they are."""
    words = "error: references: no such folder; name another\n"
    for code, said in ((2, "references: no such folder; name another"), (1, f"measuring failed: {words[7:-1]}")):
        done = subprocess.CompletedProcess((), code, "", words)
        monkeypatch.setattr(subprocess, "run", lambda *_, done=done, **__: done)
        with pytest.raises(UserError) as caught:
            measure_apart(load_config("demo"), "cpu", {})
        assert str(caught.value) == said
