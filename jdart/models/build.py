"""A folder in diffusers' layout -> the networks, tokenizer and noise schedule of a pipeline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from contest.disk.files import read_json, sha256
from contest.errors import UserError, needs
from jdart.config import BaseConfig, MemoryConfig
from jdart.models.hub.architecture import require_architecture
from jdart.models.hub.spelling import pointers, require_base_name, why_no_base
from jdart.models.schedule import NoiseSchedule
from jdart.models.weights import load, text_name, vae_name, weight_files

UNET_STEMS = VAE_STEMS = ("diffusion_pytorch_model",)
TEXT_STEMS = ("model", "pytorch_model")


@dataclass(frozen=True)
class Base:
    """A base model folder. Each part is read when it is first asked for, and then kept.

    `config` says what is read otherwise than the files say; `vae_folder` is that of a VAE in place of the folder's own.
    """

    folder: Path
    memory: MemoryConfig = field(default_factory=MemoryConfig)
    config: BaseConfig = field(default_factory=BaseConfig)
    vae_folder: Path | None = None

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            require_base_name(str(self.folder))
            raise UserError(
                f"{self.folder}: no such folder; name a folder in diffusers' layout, a repository of the hub as "
                f"owner/name, or toy; a miniature base is made by: jdart base new {self.folder}"
            )
        require_architecture(self.folder)
        absent = [
            name
            for name in (
                "unet/config.json",
                *(["vae/config.json"] if self.config.vae is None else []),
                "text_encoder/config.json",
                "tokenizer",
                "scheduler",
            )
            if not (self.folder / name).exists()
        ]
        if absent:
            raise UserError(f"{self.folder}: {why_no_base(self.folder, absent)}")
        left = pointers(self.folder)
        if left:
            raise UserError(
                f"{left[0]}: a Git LFS pointer, not the file itself; in {self.folder} run: git lfs pull"
                + (f" ({len(left)} files)" if len(left) > 1 else "")
            )

    @cached_property
    def configs(self) -> Mapping[str, Any]:
        """The shape of each network by its folder's name, from its `config.json`."""
        from jdart.models.networks.text_encoder import TextConfig
        from jdart.models.networks.unet_config import UNetConfig
        from jdart.models.networks.vae import VAEConfig

        kinds = (("unet", UNetConfig), ("vae", VAEConfig), ("text_encoder", TextConfig))
        return {part: kind.from_dict(read_json(self.part(part) / "config.json")) for part, kind in kinds}

    def part(self, name: str) -> Path:
        """The folder of a network: unet, vae or text_encoder."""
        return self.vae_folder if name == "vae" and self.vae_folder is not None else self.folder / name

    def require_match(self) -> None:
        """Raise UserError when the configurations of the parts do not belong together. No weights are read."""
        unet, vae, text = self.configs["unet"], self.configs["vae"], self.configs["text_encoder"]
        self._require_vae()
        skip, layers = self.config.clip_skip, text.num_hidden_layers
        if skip >= layers:
            raise UserError(f"base.clip_skip: {skip}: the text encoder has {layers} layers; take less than that")
        pairs = [
            ("UNet in_channels", unet.in_channels, "VAE latent_channels", vae.latent_channels),
            ("UNet out_channels", unet.out_channels, "VAE latent_channels", vae.latent_channels),
            ("UNet cross_attention_dim", unet.cross_attention_dim, "text encoder hidden_size", text.hidden_size),
        ]
        unlike = [f"{one} is {a}, {other} is {b}" for one, a, other, b in pairs if a != b]
        if unlike:
            raise UserError(f"{self.folder}: its parts are of different models: {'; '.join(unlike)}; fetch it again")

    def _require_vae(self) -> None:
        """UserError when the VAE of base.vae is not of the shape that the UNet, and the base's own VAE, ask for."""
        if self.vae_folder is None:
            return
        from jdart.models.networks.vae import VAEConfig

        unet, vae, own = self.configs["unet"], self.configs["vae"], self.folder / "vae" / "config.json"
        pairs = [("latent channels", vae.latent_channels, unet.in_channels)]
        if own.exists():
            pairs.append(("pixels a latent", vae.factor, VAEConfig.from_dict(read_json(own)).factor))
        for what, there, here in pairs:
            if there != here:
                raise UserError(
                    f"base.vae: {self.config.vae}: {there} {what}, and {self.folder} has {here}; take a VAE of its kind"
                )

    @cached_property
    def scheduler_config(self) -> Any:
        """`scheduler/scheduler_config.json`, with what the settings of the base say otherwise."""
        raw = read_json(self.folder / "scheduler" / "scheduler_config.json")
        return {**raw, **self.config.scheduling} if isinstance(raw, Mapping) else raw

    @cached_property
    def schedule(self) -> NoiseSchedule:
        """Noise schedule and prediction type, from `scheduler_config`."""
        return NoiseSchedule.from_config(self.scheduler_config)

    @cached_property
    def unet(self) -> Any:
        """The UNet with its weights."""
        from jdart.models.networks.unet import UNet

        return self._sliced(self._network("unet", UNet, UNET_STEMS))

    @cached_property
    def vae(self) -> Any:
        """The autoencoder with its weights."""
        from jdart.models.networks.vae import VAE

        network = self._network("vae", VAE, VAE_STEMS, vae_name)
        network.tile = self.memory.vae_tile
        return self._sliced(network)

    def _sliced(self, network: Any) -> Any:
        """`network` with attention computed for so many queries at a time as the memory settings say."""
        from jdart.models.networks.layers import Attention

        for module in network.modules():
            if isinstance(module, Attention):
                module.queries_at_once = self.memory.attention_slice
        return network

    @cached_property
    def text_encoder(self) -> Any:
        """The text encoder with its weights."""
        from jdart.models.networks.text_encoder import TextEncoder

        build = partial(TextEncoder, clip_skip=self.config.clip_skip)
        return self._network("text_encoder", build, TEXT_STEMS, text_name)

    def _network(
        self,
        name: str,
        build: Callable[[Any], Any],
        stems: tuple[str, ...],
        rename: Callable[[str], str | None] = lambda name: name,
    ) -> Any:
        network = build(self.configs[name])
        network.eval()
        load(network, weight_files(self.part(name), stems), rename, self.memory.storage_dtype)
        return network

    @cached_property
    def tokenizer(self) -> Any:
        """The CLIP tokenizer of `tokenizer/`, padding as its own configuration says."""
        with needs("train"):
            from transformers import CLIPTokenizer, CLIPTokenizerFast

        folder = self.folder / "tokenizer"
        plain = (folder / "vocab.json").exists() or not (folder / "tokenizer.json").exists()
        kind = CLIPTokenizer if plain else CLIPTokenizerFast  # transformers 4 reads tokenizer.json alone with this one
        try:
            tokenizer = kind.from_pretrained(folder)
            words = tokenizer.tokenize("a photo")
        except Exception as error:  # transformers raises whatever a damaged file provokes
            first = str(error).strip().split("\n")[0]
            raise UserError(f"{folder}: not a CLIP tokenizer ({first}); fetch it again") from error
        if words != ["a</w>", "photo</w>"]:  # an empty folder loads too, and knows no word
            raise UserError(f"{folder}: not CLIP's vocabulary, it reads 'a photo' as {words}; fetch it again")
        return tokenizer

    @cached_property
    def told(self) -> set[tuple[str, str]]:
        """The texts that were looked at for words beyond what is read (`jdart.models.cut`): each is told once."""
        return set()

    def tokens(self, prompts: Sequence[str]) -> np.ndarray:
        """Prompts -> int32 ids (B, 77), truncated and padded."""
        config = self.configs["text_encoder"]
        length = config.max_position_embeddings
        ids = self.tokenizer(list(prompts), padding="max_length", max_length=length, truncation=True)["input_ids"]
        tokens = np.asarray(ids, np.int32)
        if tokens.max() >= config.vocab_size:
            raise UserError(
                f"{self.folder}: the tokenizer knows more words than the text encoder's {config.vocab_size}; "
                "fetch the base model again"
            )
        return tokens

    @cached_property
    def identity(self) -> str:
        """SHA-256 over the names and hashes of all weight files: the same weights give the same identity.

        In the hub's cache a large file is a link to a blob that is named by its SHA-256; UserError when it is not that.
        """
        digest = hashlib.sha256()
        for name, stems in (("unet", UNET_STEMS), ("vae", VAE_STEMS), ("text_encoder", TEXT_STEMS)):
            for path in weight_files(self.part(name), stems):
                found, blob = sha256(path), path.resolve()
                if len(blob.name) == len(found) and blob.name != found:
                    raise UserError(f"{blob}: damaged, its SHA-256 is {found}; remove the file and run again")
                digest.update(f"{name}/{path.name} {found}\n".encode())
        return digest.hexdigest()
