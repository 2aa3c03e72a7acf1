"""The edits of the predicted picture that the settings of colour ask for."""

from __future__ import annotations

from jdart.config.sections.colour import ColourConfig
from jdart.generation.colour.guidance import WAYS
from jdart.generation.colour.transport import Transport
from jdart.generation.references import References
from jdart.generation.steering import Edit


def colour_edits(settings: ColourConfig, references: References) -> list[Edit]:
    """In the order in which they are made."""
    edits: list[Edit] = []
    if settings.transport is not None:
        edits.append(Transport(references.latents, settings.transport))
    if settings.guidance is not None:
        edits.append(WAYS[settings.guidance.through](references, settings.guidance))
    return edits
