#!/usr/bin/env bash
# Package: optuna 5.0.0 (SciPy 1.17.0, NumPy 2.4.0).
# Behaviour: WilcoxonPruner goes on with a trial that loses on every instance, where its first instances are the easy ones: its mean
#   over the instances so far is set beside the best trial's mean over all of its instances, and may not be below it. The same losses
#   in the other order are pruned. Which trials are stopped so depends on the order of the instances, and where easy ones come first
#   none is, however clear the test's p is.
# One would guess otherwise: a signed-rank test is paired, instance by instance, so that how hard an instance is falls out.
# Docs: https://optuna.readthedocs.io/en/stable/reference/generated/optuna.pruners.WilcoxonPruner.html
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq optuna==5.0.0 scipy==1.17.0 numpy==2.4.0
cat > "$folder/see.py" <<'P'
import sys
import warnings

import optuna

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
EASY, HARD = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95], [0.20, 0.21, 0.22, 0.23, 0.24, 0.25]


def pruned_at(scores):
    """After how many instances a trial is stopped that is 0.05 worse than the best on each; None: never."""
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.WilcoxonPruner(p_threshold=0.1))
    best = study.ask()
    for step, score in enumerate(scores):
        best.report(score, step)
    study.tell(best, sum(scores) / len(scores))
    trial = study.ask()
    for step, score in enumerate(scores):
        trial.report(score - 0.05, step)
        if trial.should_prune():
            return step + 1
    return None


easy_first, hard_first = pruned_at(EASY + HARD), pruned_at(HARD + EASY)
print(f"hard instances first: stopped after {hard_first} of 12")
print(f"easy instances first: stopped after {easy_first} of 12")
if hard_first is None or hard_first > 5:
    sys.exit("changed: a trial that loses on every instance is not stopped early")
if easy_first is not None and easy_first <= 6:
    sys.exit("changed: with easy instances first it is stopped as early")
P
"$folder/venv/bin/python" "$folder/see.py"
