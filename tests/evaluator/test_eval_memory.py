"""How much memory a score takes, and what it does where it may take little."""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import weakref

import pytest
from comparing import assert_same_figures

from contest.errors import UserError
from evaluator import memory, score_submission


def test_the_largest_network_has_the_memory_to_itself(pack, contest, report, monkeypatch):
    from evaluator.backbones import clip, dinov2, inception, rn50, squeezenet

    kinds = [dinov2.DinoV2, inception.InceptionStem, squeezenet.SqueezeNet, rn50.Rn50Images]
    made, beside = [], []
    for kind in kinds:

        def making(self, *args, start=kind.__init__):
            made.append(weakref.ref(self))
            start(self, *args)

        monkeypatch.setattr(kind, "__init__", making)
    features = clip.ClipImages.features

    def looking_around(self, batch):
        gc.collect()
        beside.append([network() for network in made if network() is not None])
        return features(self, batch)

    monkeypatch.setattr(clip.ClipImages, "features", looking_around)
    again = score_submission(
        contest / "outputs", references=contest / "references", weights=pack, write=False, cache=False
    )
    assert (len(made), len(beside)) == (len(kinds), 4), "batches of three"
    assert not any(beside)
    assert_same_figures(again, report)


def test_a_score_does_not_import_a_compiler(pack, contest):
    """A process of its own. Embeddings on the meta device would: findings/torch-meta-embedding-imports-compiler.sh."""
    program = (
        "import sys; from evaluator import score_submission; outputs, references, weights = sys.argv[1:]; "
        "score_submission(outputs, references=references, weights=weights, write=False, cache=False); "
        "print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    command = [sys.executable, "-c", program, contest / "outputs", contest / "references", pack]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_only_a_few_prepared_pictures_are_held(pack, contest, monkeypatch):
    """Memory must not grow with the number of pictures."""
    from evaluator.scoring import viewer as extract

    seen, most = [], 0
    take_all = extract.Viewer._take_all

    def counting(self, group, take):
        nonlocal most
        seen.extend(group)
        most = max(most, sum(bool(one.prepared) for one in seen))
        take_all(self, group, take)

    monkeypatch.setattr(extract.Viewer, "_take_all", counting)
    score_submission(
        contest / "outputs", references=contest / "references", weights=pack, write=False, cache=False, batch_size=2
    )
    assert len(seen) == 32, "8 references, and 12 outputs twice"
    assert most == 2


def limited(monkeypatch, limit):
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (limit, resource.RLIM_INFINITY))


def test_too_low_a_limit_of_addresses_is_told_before_anything_is_done(pack, contest, monkeypatch):
    limited(monkeypatch, 1 << 30)
    with pytest.raises(UserError, match="1024 MiB of addresses, .* raise it"):
        score_submission(contest / "outputs", references=contest / "references", weights=pack, write=False)


def test_under_a_limit_blas_has_its_buffers_from_the_start(monkeypatch):
    from scipy.linalg import blas

    asked = []
    monkeypatch.setattr(blas, "dgemm", lambda *given: asked.append(given))
    limited(monkeypatch, resource.RLIM_INFINITY)
    memory.claim_buffers()
    assert not asked
    limited(monkeypatch, 1 << 40)
    memory.claim_buffers()
    assert len(asked) == 1
