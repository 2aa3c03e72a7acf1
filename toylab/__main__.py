"""python -m toylab [STAGE...]: see README.md in this folder."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import click
import torch
from diffusers import AutoencoderKL
from torch import nn
from transformers import CLIPTokenizer

from contest.errors import UserError
from evaluator.backbones.tokenizer import Tokenizer
from evaluator.weights.pack import networks
from evaluator.weights.tokenizer import write_tokenizer
from jdart.models import presets
from toylab import base, contest, meter, ship, vae
from toylab.eyes import EYES, aesthetic, clip, dino, features, rn50
from toylab.eyes.sights import awake, sights
from toylab.loop import stage
from toylab.pictures import NOUNS, scenes, sheet, to_array

ROOT = Path(__file__).parents[1]
SEED = 0


class Lab:
    """The stages by name; each resumes what an earlier run left in `work`, and is computed once."""

    def __init__(self, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.work = work
        if not (work / "tokenizer").is_dir():
            presets.write_tokenizer(work / "tokenizer")

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        return CLIPTokenizer.from_pretrained(self.work / "tokenizer")

    @cached_property
    def vae(self) -> AutoencoderKL:
        """Autoencoder: 64 x 64 pixels to 4 x 16 x 16."""
        return vae.train(self.work, SEED)

    @cached_property
    def meter(self) -> nn.Module:
        """An independent classifier that says how well drawn pictures are recognised."""
        network, autoencoder = meter.train(self.work, SEED), self.vae
        shown = scenes(SEED + 9, 1000, 0.0)
        pictures = to_array([one.picture for one in shown])
        again = vae.decode(autoencoder, vae.encode(autoencoder, pictures))
        for name, some in (("renders", pictures), ("the autoencoder's copies", again)):
            top1, top5 = meter.recognised(network, some, [one.noun for one in shown])
            click.echo(f"{name}: {top1:.1%} recognised, {top5:.1%} among five")
        click.echo(f"the autoencoder's copies: {vae.psnr(pictures, again):.1f} dB")
        return network

    @cached_property
    def base(self) -> base.Pair:
        """UNet and text encoder."""
        autoencoder, words, judge = self.vae, base.Words.of(self.tokenizer), self.meter

        def watch(step: int, pair: nn.Module) -> None:
            drawn = base.draw(pair, autoencoder, words, [f"an image of {noun}" for noun in NOUNS], SEED)
            top1, top5 = meter.recognised(judge, drawn, list(NOUNS))
            click.echo(f"step {step}: {top1:.0%} of drawn pictures recognised, {top5:.0%} among five")
            sheet(drawn).save(self.work / f"base-{step}.png")
            base.gate(step, top5)

        return base.train(self.work, autoencoder, words, SEED, watch)

    @cached_property
    def eyes(self) -> dict[str, nn.Module]:
        """The evaluator's five networks."""
        if not (self.work / "words").is_dir():
            write_tokenizer(self.work / "words")
        words, make = Tokenizer(self.work / "words"), networks(EYES)
        torch.manual_seed(SEED)
        seen, new = sights(SEED + 3, 24_000), {name: awake(one()) for name, one in make.items()}
        plain = to_array([one.picture for one in scenes(SEED + 4, 500, 0.0)])
        return {
            "clip": clip.train(new["clip"], words, seen, self.work, SEED),
            "dino": dino.train(new["dino"], seen, EYES.dino_edges, self.work, SEED),
            "rn50": rn50.train(new["rn50"], words, seen, self.work, SEED),
            "squeeze": features.train_squeezenet(new["squeeze"], seen, self.work, SEED),
            "inception": features.train_stem(new["inception"], seen, plain, self.work, SEED),
        }

    @cached_property
    def head(self) -> dict[str, torch.Tensor]:
        """The aesthetic head, on the toy CLIP's features."""
        return aesthetic.fit(sights(SEED + 5, 8_000), self.eyes["clip"])

    @cached_property
    def contest(self) -> None:
        """References and held-out pictures of the toy contest."""
        contest.write(ROOT / "data" / "sample", ROOT / "data" / "held_out", SEED)

    @cached_property
    def ship(self) -> None:
        """The archives that come with the packages."""
        words = base.Words.of(self.tokenizer)
        ship.ship_base(ROOT / "jdart" / "toy.zip", self.vae, self.base, words)
        ship.ship_pack(ROOT / "evaluator" / "toy.zip", EYES, self.eyes, self.head)


STAGES: tuple[str, ...] = ("vae", "meter", "base", "eyes", "head", "contest", "ship")


@click.command()
@click.argument("stages", nargs=-1, type=click.Choice(STAGES))
@click.option(
    "--work", default=".cache/toy", show_default=True, type=click.Path(path_type=Path), help="For what is half done."
)
def main(stages: tuple[str, ...], work: Path) -> None:
    """Make the toy base model, the toy evaluator weights and the toy contest; all stages, or those named."""
    lab = Lab(work)
    try:
        for name in stages if stages else STAGES:
            with stage(name):
                getattr(lab, name)
    except UserError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
