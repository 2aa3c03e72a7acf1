#!/usr/bin/env bash
# Package: optuna 5.0.0 (NumPy 1.26.4).
# Behaviour: study.enqueue_trial({"learning_rate": 0.5}) for an objective that asks for "rate" runs a trial of a drawn rate: the name
#   that fits nothing is never mentioned, at enqueuing or after, and stands in the trial's fixed_params as if it had been used. A
#   value out of the range is used as it is (5.0 for 0 to 1), with a warning.
# One would guess otherwise: the call is there to try one's known best setting first, so a setting that was not tried should be
#   reported, rather than one that was.
# Docs: https://optuna.readthedocs.io/en/stable/reference/generated/optuna.study.Study.html#optuna.study.Study.enqueue_trial
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq optuna==5.0.0 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import logging
import sys
import warnings

import optuna

said = []


class Listener(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())


optuna.logging.disable_default_handler()
optuna.logging.set_verbosity(optuna.logging.WARNING)
logging.getLogger("optuna").addHandler(Listener())


def first_trial(known_best):
    """The parameters of the first trial, its notes, and all warnings."""
    said.clear()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        study.enqueue_trial(known_best)
        study.optimize(lambda trial: trial.suggest_float("rate", 0, 1), n_trials=1)
    trial = study.trials[0]
    return trial.params, trial.system_attrs.get("fixed_params"), said + [str(warning.message) for warning in caught]


for known_best in ({"rate": 0.5}, {"learning_rate": 0.5}, {"rate": 5.0}):
    params, fixed, warned = first_trial(known_best)
    print(f"enqueued {known_best}: tried {params}, noted {fixed}, warnings {len(warned)}")
    if known_best == {"rate": 0.5} and (params != known_best or warned):
        sys.exit("changed: even an enqueued parameter of the right name is not tried")
    if "learning_rate" in known_best and (warned or params["rate"] == 0.5 or fixed != known_best):
        sys.exit(f"changed: an unknown name is told now: {warned}")
    if known_best == {"rate": 5.0} and (params != known_best or not warned):
        sys.exit("changed: a value out of the range is dealt with in another way")
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
