"""Profiles: the library behaviour a set of figures belongs to.

Figures of two profiles are never ranked together. What differs is said in `docs/evaluator.md`.
"""

from __future__ import annotations

from dataclasses import dataclass

from contest.errors import UserError


@dataclass(frozen=True)
class Profile:
    """A name and the three places where library versions move the checker's figures.

    processor: "pil" (PIL bicubic on bytes) or "tensor" (torchvision's, transformers 5) before DINO and CLIP;
    positions: DINOv2's position embeddings interpolated by "scale" or "size" (transformers 4.46);
    fid_resize: "tf1" or "antialias" (torchmetrics 1.8).
    """

    name: str
    processor: str
    positions: str
    fid_resize: str


OFFICIAL_2024 = Profile("official-2024", processor="pil", positions="scale", fid_resize="tf1")
OFFICIAL_2025 = Profile("official-2025", processor="tensor", positions="size", fid_resize="antialias")
PROFILES = {profile.name: profile for profile in (OFFICIAL_2024, OFFICIAL_2025)}


def find_profile(name: str) -> Profile:
    """The profile of that name. Raises UserError that lists the known ones."""
    if name not in PROFILES:
        raise UserError(f"profile {name!r} is not known; choose one of: {', '.join(PROFILES)}")
    return PROFILES[name]
