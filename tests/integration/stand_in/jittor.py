"""What jdart's script asks of Jittor, for tests without it."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy

cudnn = None
flags = SimpleNamespace(use_cuda=0)
seeds = []
set_global_seed = seeds.append
no_grad = nullcontext
array = numpy.asarray
