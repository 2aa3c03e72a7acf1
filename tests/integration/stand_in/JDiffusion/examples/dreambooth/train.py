"""A training that learns nothing, in the place of JDiffusion's example: its arguments are heeded, or refused."""

import argparse
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import jittor as jt
from tqdm import tqdm

TEXTS = ("pretrained_model_name_or_path", "instance_data_dir", "instance_prompt", "output_dir", "lr_scheduler")
WHOLE = ("resolution", "train_batch_size", "max_train_steps", "lr_warmup_steps", "rank")
NUMBERS = ("learning_rate", "adam_beta1", "adam_beta2", "adam_weight_decay", "adam_epsilon")


def parse_args(arguments):
    parser = argparse.ArgumentParser()
    for names, kind in ((TEXTS, str), (WHOLE, int), (NUMBERS, float)):
        for name in names:
            parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--center_crop", action="store_true")
    return parser.parse_args(arguments)


def AdamW(parameters, lr):
    return SimpleNamespace(param_groups=[{}], lr=lr)


def main(args):
    jt.flags.use_cuda = 1  # as the example does, wherever it runs
    print("printed by the example")
    count = len(list(Path(args.instance_data_dir).iterdir()))
    AdamW([], args.learning_rate)
    bar = tqdm(range(args.max_train_steps), initial=0, desc="Steps", disable=False)
    for step in range(args.max_train_steps):
        if step == int(os.environ.get("STAND_IN_STEPS", -1)):
            os.kill(os.getpid(), signal.SIGKILL)
        bar.update(1)
        bar.set_postfix(loss=float("nan") if args.learning_rate > 1 else count / (step + 1))
    Path(args.output_dir).mkdir()
    shutil.copy(os.environ["STAND_IN_LORA"], Path(args.output_dir, "pytorch_lora_weights.bin"))
