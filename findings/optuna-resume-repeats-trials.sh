#!/usr/bin/env bash
# Package: optuna 5.0.0 (SciPy 1.17.1, NumPy 1.26.4).
# Behaviour: a study that is resumed by the same script (create_study(load_if_exists=True), a sampler with a seed) tries the first
#   values of the sweep once more: 4 and 4 trials of TPE (its random start-up) or of the random sampler are the same 4 twice.
#   With QMCSampler they are the 8 of one sweep.
# One would guess otherwise: the storage holds the finished trials, and a seed is there to make 4 + 4 the 8 of a run in one go. Where
#   a trial is a training of some minutes, half of the time goes into what is known.
# Docs: https://optuna.readthedocs.io/en/stable/tutorial/20_recipes/001_rdb.html (the sampler is to be kept apart, as a pickle)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq optuna==5.0.0 scipy==1.17.1 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
SAMPLERS = (optuna.samplers.TPESampler, optuna.samplers.RandomSampler, optuna.samplers.QMCSampler)


def tried(sampler, parts):
    """The learning rates of a sweep in `parts`, each part a new start of the program."""
    storage = f"sqlite:///{sys.argv[1]}/{sampler.__name__}-{len(parts)}.db"
    for count in parts:
        study = optuna.create_study(storage=storage, study_name="sweep", load_if_exists=True, sampler=sampler(seed=0))
        study.optimize(lambda trial: (trial.suggest_float("rate", 0, 1) - 0.3) ** 2, n_trials=count)
    return [round(trial.params["rate"], 3) for trial in study.trials]


for sampler in SAMPLERS:
    whole, resumed = tried(sampler, [8]), tried(sampler, [4, 4])
    print(f"{sampler.__name__}: at one go {whole}, resumed {resumed}")
    if resumed[:4] != whole[:4] or len(set(whole)) != 8:
        sys.exit("changed: the same seed gives another sweep, or repeats itself at one go")
    repeats = resumed[4:] == resumed[:4]
    if repeats != (sampler is not optuna.samplers.QMCSampler):
        sys.exit(f"changed: a resumed study of {sampler.__name__} {'repeats its' if repeats else 'no longer repeats'} trials")
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/look.py" "$folder"
