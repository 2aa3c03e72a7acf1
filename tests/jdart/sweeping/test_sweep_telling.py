"""What is told of a sweep: its table, its lines, its forecast, its files and pictures."""

import csv
import io
import logging

import optuna
import pytest
import yaml
from fake_bench import STYLES, FakeBench, opened, plan_of
from PIL import Image
from rich.console import Console

from contest.errors import UserError
from jdart.config import from_mapping
from jdart.runs.job import Event
from jdart.sweeping.importance import importances, judged
from jdart.sweeping.plots import write_plots
from jdart.sweeping.rows import best_of
from jdart.sweeping.runner import Progress, go
from jdart.sweeping.show import Forecast, _display
from jdart.sweeping.table import line_of, trials_csv, trials_table
from jdart.sweeping.winner import keeping, tell_results

TRIALS = 30
KEYS = ["train.learning_rate", "generate.guidance_scale", "lora.r"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A study of thirty trials, one of them failed."""

    def wrong(point, style):
        if (point.number, style) == (3, "01"):
            raise UserError("no room; free some")

    folder = tmp_path_factory.mktemp("swept")
    with opened(plan_of(folder, TRIALS)) as study:
        for _ in keeping(study, go(study, FakeBench(wrong))):
            pass
        yield study


def printed(table):
    console = Console(width=200, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_the_table(swept):
    rows = swept.rows
    whole = printed(trials_table(rows, len(STYLES), KEYS)).splitlines()
    assert len(whole) == TRIALS + 4
    assert "0.001" in whole[3] and "16" in whole[3] and "5/5" in whole[3]
    best = best_of(rows)
    assert f"{best.scores.final:.4f}" in whole[3 + best.number]
    few = printed(trials_table(rows, len(STYLES), KEYS, most=4)).splitlines()
    last = [str(number) for number in ([best.number] if best.number < TRIALS - 4 else [TRIALS - 4])]
    assert [line.split()[1] for line in few[3:-1]] == [*last, "27", "28", "29"]


def test_a_line_a_trial(swept):
    rows = swept.rows

    def line(number):
        return line_of(rows[number], rows, len(STYLES), KEYS)

    values = "(train.learning_rate=0.001, generate.guidance_scale=3, lora.r=16)"
    assert line(0) == f"trial 0  Final {rows[0].scores.final:.4f}  {values}"
    assert ", the best so far  (" in line(best_of(rows).number)
    stopped = next(row for row in rows if row.state == "stopped")
    assert f"stopped after 4 of 5 styles, mean {stopped.mean:.4f}  (" in line(stopped.number)
    assert line(3).startswith("trial 3  failed: 01: no room; free some (")


def test_the_csv_says_the_same(swept, tmp_path):
    text = (swept.plan.folder / "trials.csv").read_bytes()
    assert text == trials_csv(swept.rows, swept.styles, KEYS)
    table = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    for row, told in zip(swept.rows, table):
        assert (int(told["trial"]), told["state"]) == (row.number, row.state)
        assert [float(told[key]) for key in KEYS] == [row.labels[key] for key in KEYS]
        assert told["final"] == ("" if row.scores is None else repr(row.scores.final))
        finals = [told[f"final of {style}"] for style in STYLES]
        assert [float(one) for one in finals if one] == [scores.final for scores in row.styles.values()]
    assert table[3]["failed"].startswith("01: no room; free some")


def test_the_winner(swept):
    best = best_of(swept.rows)
    text = (swept.plan.folder / "best.yaml").read_text()
    config = from_mapping(yaml.safe_load(text))
    assert config.train.learning_rate == best.labels["train.learning_rate"]
    assert config.generate.guidance_scale == best.labels["generate.guidance_scale"]
    assert config.output == str(swept.plan.folder / "trials" / f"{best.number:04}")
    assert f"trial {best.number}, Final {best.scores.final:.4f}" in text.splitlines()[0]


def test_what_moves_a_metric_is_found(swept):
    """Hist is made of the learning rate, CLIP-R of the guidance, the rank does nothing, and DINO is always the same."""
    shares = importances(swept)
    for metric, key in (("hist", KEYS[0]), ("clip_r", KEYS[1])):
        assert max(shares[metric], key=shares[metric].get) == key
        assert shares[metric][key] > 0.5 and sum(shares[metric].values()) == pytest.approx(1)
    assert shares["dino"] == {} and shares["final"]["lora.r"] < 0.2


def test_stopped_trials_are_judged_on_the_styles_that_all_did(swept):
    figures = judged(swept.rows)
    row = swept.rows[0]
    assert list(figures) == [row.number for row in swept.rows if row.state in ("finished", "stopped")]
    first = list(STYLES)[: min(len(one.styles) for one in swept.rows if one.number in figures)]
    assert figures[0]["hist"] == pytest.approx(sum(row.styles[style].hist for style in first) / len(first))


def test_pictures(swept, tmp_path):
    written, left_out = write_plots(swept, ["toy weights"])
    assert [path.name for path in written] == ["history.png", "parallel.png", "importance.png"] and not left_out
    for path in written:
        with Image.open(path) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    again = [path.read_bytes() for path in written]
    write_plots(swept, ["toy weights"])
    assert [path.read_bytes() for path in written] == again, "the same for the same"


def test_pictures_that_there_are_too_few_trials_for(tmp_path):
    space = {"lora.r": {"choices": [4, 8]}}
    with opened(plan_of(tmp_path, 1, space, set={"lora.r": 2})) as study:
        list(go(study, FakeBench(lambda point, style: 1 / 0)))
        said = list(tell_results(study))
    assert said == [
        f"Written: {tmp_path / 'out' / 'trials.csv'}",
        "history.png: left out, no trial is finished",
        "parallel.png: left out, no trial is finished",
        "importance.png: left out, 0 trials are over, and it takes 5",
    ]
    with opened(plan_of(tmp_path, 2, space, set={"lora.r": 2})) as study:
        list(go(study, FakeBench()))
        assert len(list(tell_results(study))) == 3, "what is written, the importance left out, and the best"


def test_optuna_opens_the_study(swept):
    """As docs/sweep.md says."""
    backend = optuna.storages.journal.JournalFileBackend(str(swept.plan.folder / "study.log"))
    study = optuna.load_study(study_name="sweep", storage=optuna.storages.JournalStorage(backend))
    best = best_of(swept.rows)
    assert (study.best_trial.number, study.best_value) == (best.number, best.scores.final)
    assert study.best_trial.user_attrs["hist"] == best.scores.hist
    assert list(study.best_trial.intermediate_values.values()) == [one.final for one in best.styles.values()]


def test_the_forecast_is_the_median_style(swept):
    now = [0.0]
    forecast = Forecast(trials=10, styles=5, clock=lambda: now[0])
    assert forecast.text([]) == ""
    for style, seconds in zip(STYLES, (600, 60, 60, 60, 60)):  # the first compiles
        now[0] += seconds
        forecast.tell(Progress(0, style=style))
    forecast.tell(Progress(0, ended=True))
    assert forecast.text(swept.rows[:1]) == "about 45 min left", "nine trials of five minutes"
    now[0] += 1
    forecast.tell(Progress(1, style="00", fresh=False))
    assert forecast.text(swept.rows[:1]) == "about 45 min left"
    assert forecast.text([row for row in swept.rows if row.number != 3][:10]) == ""


def test_a_pruner_that_cannot_stop_anything_is_told(tmp_path, caplog):
    (tmp_path / "none").mkdir()
    with caplog.at_level(logging.WARNING, "jdart"):
        with opened(plan_of(tmp_path / "none", 1, prune=None), dict.fromkeys(("00", "01"), ("a",))):
            assert caplog.text == ""
        with opened(plan_of(tmp_path, 1), dict.fromkeys(("00", "01"), ("a",))):
            assert "prune: no trial can be stopped: of 2 styles all but the last give p = 0.5 at best" in caplog.text


def test_a_terminal_shows_the_table_and_what_is_done(swept):
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=30)
    with _display(console) as (now, show):
        now.event(Event("train", "00", 3, 5, "loss 0.1"), "trial 4: train 00")
        show(trials_table(swept.rows, len(STYLES), KEYS, most=2), "5 of 30 trials, about 2 min left")
    text = console.file.getvalue()
    assert "5 of 30 trials, about 2 min left" in text and "trial 4: train 00: 3 of 5 loss 0.1" in text
    assert "learning_rate" in text and "guidance_scale" in text
