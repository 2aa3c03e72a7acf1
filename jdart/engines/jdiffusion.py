"""The stand-alone script that JDiffusion's own interpreter runs. Nothing of jdart is imported, and no file but its own.

    PYTHON script.py           a task, one line of JSON, on standard input, which stays open while anybody waits
    PYTHON script.py --look    tells what this environment has, and imports none of it

How far the task is goes to standard output, a line of JSON each: `done` of `total`, of a training with `loss` and
`learning_rate`. What libraries print goes to standard error. What is in a task is said by
`training.py` and `drawing.py` beside this file.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import sys
import sysconfig
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

DISTRIBUTIONS = (
    *("jittor", "jtorch", "torch", "diffusers", "transformers", "JDiffusion", "peft", "accelerate", "tokenizers"),
    *("huggingface_hub", "safetensors", "numpy", "pillow"),
)
LORA = "pytorch_lora_weights.bin"
Tell = Callable[..., None]


def look() -> dict[str, Any]:
    """What is installed: versions (None: it is not), and the places of what jdart needs."""
    example = example_file()
    torch = importlib.util.find_spec("torch")
    package = None if torch is None or torch.origin is None else Path(torch.origin).parent
    config = _python_config()
    return {
        "python": "{}.{}.{}".format(*sys.version_info),
        "versions": {name: _version(name) for name in DISTRIBUTIONS},
        "pytorch": package is not None and (package / "_C").exists(),  # the real one, in the place of jtorch's
        "example": None if example is None else str(example),
        "python_config": None if config is None else str(config),
        "compiler": shutil.which("g++"),
    }


def example_file() -> Path | None:
    """The training script of the checkout that JDiffusion is installed from, or None."""
    package = importlib.util.find_spec("JDiffusion")
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).resolve().parents[2] / "examples" / "dreambooth" / "train.py"
    return path if path.is_file() else None


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _python_config() -> Path | None:
    """What Jittor asks for the compiler's options; beside a virtual environment's python it is not."""
    name = "python{}.{}-config".format(*sys.version_info)
    places = (Path(sys.base_prefix, "bin"), Path(sysconfig.get_path("scripts")), Path("/usr/bin"))
    return next((place / name for place in places if (place / name).is_file()), None)


def work() -> None:
    """Do the task on standard input."""
    task = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(os.dup(1), "w") as events:
        os.dup2(2, 1)

        def tell(**said: Any) -> None:
            events.write(json.dumps(said) + "\n")
            events.flush()

        {"train": train, "draw": draw}[task["do"]](task, _start(task["device"] == "cuda"), tell)


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)  # Jittor would meet a gentler signal with handlers of its own


def _start(cuda: bool) -> Any:
    """Jittor, ready for JDiffusion's import."""
    config = _python_config()
    if config is not None:
        os.environ.setdefault("python_config_path", str(config))
    os.environ.setdefault("log_silent", "1")
    os.environ.setdefault("cache_name", "default")  # otherwise the git branch
    if not cuda:
        os.environ["nvcc_path"] = ""
    import jittor

    if getattr(jittor, "cudnn", None) is None:  # JDiffusion's import sets its workspace
        jittor.cudnn = SimpleNamespace(set_max_workspace_ratio=lambda ratio: None)
    import JDiffusion  # noqa: F401

    jittor.flags.use_cuda = int(cuda)
    return jittor


def train(task: dict[str, Any], jittor: Any, tell: Tell) -> None:
    """Train by the example's own `main`, with the task's arguments; the LoRA is then in its --output_dir."""
    path = example_file()
    assert path is not None
    spec = importlib.util.spec_from_file_location("jdiffusion_dreambooth", path)
    assert spec is not None and spec.loader is not None
    example: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    optimisers: list[Any] = []
    adamw = example.AdamW

    def noted(*args: Any, **kwargs: Any) -> Any:
        optimisers.append(adamw(*args, **kwargs))
        return optimisers[-1]

    class Bar:
        """In the place of the example's progress bar."""

        def __init__(self, steps: range, **_: Any) -> None:
            self.done, self.total = 0, len(steps)

        def update(self, count: int) -> None:
            self.done += count

        def set_postfix(self, loss: float) -> None:
            tell(done=self.done, total=self.total, loss=float(loss), learning_rate=rate_of(optimisers[0]))

    example.AdamW, example.tqdm = noted, Bar
    if task["device"] != "cuda":
        example.jt = OnTheCpu(jittor)
    jittor.set_global_seed(task["seed"])
    example.main(example.parse_args(task["arguments"]))


def rate_of(optimiser: Any) -> float:
    """The learning rate of the optimiser's next step."""
    return float(optimiser.param_groups[0].get("lr", optimiser.lr))


class OnTheCpu:
    """Jittor for an example that switches CUDA on: everything as it is, but that."""

    def __init__(self, jittor: Any) -> None:
        self.jittor, self.flags = jittor, SimpleNamespace()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.jittor, name)


def draw(task: dict[str, Any], jittor: Any, tell: Tell) -> None:
    """Draw the task's batches, one after another; picture number N is NUMBER.png in its folder when it is told of."""
    import JDiffusion
    import numpy

    plain = {"safety_checker": None, "requires_safety_checker": False}
    pipe = JDiffusion.StableDiffusionPipeline.from_pretrained(task["base"], **plain)
    scheduler = dict(task["scheduler"])
    pipe.scheduler = getattr(JDiffusion, scheduler.pop("_class_name")).from_config(scheduler)
    pipe.set_progress_bar_config(disable=True)
    scale = None
    if task["lora"] is not None:
        lora = Path(task["lora"])
        pipe.load_lora_weights(str(lora.parent), weight_name=lora.name)
        scale = {"scale": task["weight"]}
    latents = None if task["latents"] is None else numpy.load(task["latents"])
    done, total = 0, sum(map(len, task["batches"]))
    with jittor.no_grad():
        for batch in task["batches"]:
            prompts, seeds = [each["prompt"] for each in batch], [each["seed"] for each in batch]
            start = {"seed": seeds}
            if latents is not None:
                start = {"latents": jittor.array(latents[done : done + len(batch)])}
            drawn = pipe(
                prompts,
                negative_prompt=[task["negative_prompt"]] * len(batch),
                cross_attention_kwargs=scale,
                **task["settings"],
                **start,
            )
            for picture in drawn.images:
                picture.save(Path(task["folder"], f"{done}.png"))
                done += 1
                tell(done=done, total=total)


if __name__ == "__main__":
    if sys.argv[1:] == ["--look"]:
        sys.stdout.write(json.dumps(look()) + "\n")
    else:
        work()
