"""Where a style's pictures lie below the references."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from contest.disk.mvtec import defect_folder, is_good_style, thing_of
from contest.disk.shipped import references_folder
from contest.errors import UserError
from jdart.data.folder import pictures_in


def picture_folder(references: str | Path, layout: str, style: str) -> Path:
    """The folder with the pictures of `style`, by `data.layout`. It need not be there.

    UserError for a style whose name says no folder of this layout.
    """
    root = references_folder(references)
    if layout == "mvtec":
        return defect_folder(root, style)
    return root if layout == "folder" else root / style / "images"


def object_of(layout: str, style: str) -> str | None:
    """What all pictures of `style` show, where that is in the style's name; None where their files' names say it."""
    return thing_of(style) if layout == "mvtec" else None


def require_defects(styles: Collection[str]) -> None:
    """UserError where the styles to learn include pictures without a defect."""
    good = [style for style in styles if is_good_style(style)]
    if good:
        raise UserError(f"styles: {', '.join(good)}: good is no defect, it is not learnt; leave it out")


def only_style(references: str | Path, layout: str) -> str:
    """The style of references that have one. UserError where there are several, or none."""
    root = references_folder(references)
    if layout == "folder":
        return root.resolve().name
    if root.is_dir():
        styles = sorted(path.parent.name for path in root.glob("*/images") if path.is_dir())
        if len(styles) == 1:
            return styles[0]
        if styles:
            raise UserError(
                f"{root}: has the styles {', '.join(styles)}; name the one to learn with styles, or --styles"
            )
        if pictures_in(root):
            raise UserError(f"{root}: holds pictures and no <style>/images; set data.layout to folder")
    raise UserError(f"{root}: no <style>/images there; put the pictures to learn from into such a folder")
