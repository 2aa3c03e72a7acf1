"""Pictures of defects as MVTec AD keeps them: <category>/test/<defect>/*.png. Standard library only.

`test/good` has pictures without a defect, `train` has nothing else, and `ground_truth` has masks: none of them is a
defect here. Source: Bergmann et al., MVTec AD, CVPR 2019; MVTec LOCO, VisA and BTAD are to be had in this form, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contest.errors import UserError
from contest.names import is_system

LAYOUT = "<category>/test/<defect>/*.png"
GOOD = "good"
_TEST = "test"
_MARK = "-"  # between category and defect in the name of a style
_ABOVE, _BELOW = 3, 2  # folders up from one that was named too low, and down from one too high


def style_of(category: str, defect: str) -> str:
    """The style that a defect is learnt as: metal_nut, flip -> metal_nut-flip."""
    return f"{category}{_MARK}{defect}"


def thing_of(style: str) -> str:
    """What the pictures of a style show, as a prompt says it: metal_nut-flip -> metal nut."""
    return style.partition(_MARK)[0].replace("_", " ")


def defect_folder(root: Path, style: str) -> Path:
    """The folder with a style's pictures, which need not be there. UserError for a name of another kind."""
    category, mark, defect = style.partition(_MARK)
    if not (category and mark and defect):
        raise UserError(f"style {style}: names no defect of {root}; write it as category-defect, such as hazelnut-hole")
    return root / category / _TEST / defect


def defects_in(root: Path) -> dict[str, str]:
    """The styles of a folder of categories, sorted, each with what it shows. UserError: there is none, and why."""
    if not root.is_dir():
        what = "a file; name the folder" if root.is_file() else "no such folder; name the one"
        raise UserError(f"{root}: {what} that holds MVTec's {LAYOUT}")
    categories = _categories(root)
    if not categories:
        raise UserError(f"{root}: holds no {LAYOUT}; {_where(root)}")
    odd = [name for name in categories if _MARK in name]
    if odd:
        raise UserError(f"{root}: category {odd[0]}: '{_MARK}' stands between category and defect; rename the folder")
    found = {
        style_of(category, defect): category
        for category in categories
        for defect in _folders(root / category / _TEST)
        if not is_good(defect)
    }
    if not found:
        raise UserError(
            f"{root}: every category has pictures in {_TEST}/{GOOD} alone, which have no defect; "
            f"put those of a defect into {LAYOUT}"
        )
    return {style: thing_of(style) for style in found}


def is_good(defect: str) -> bool:
    """Whether a folder of `test` has pictures without a defect."""
    return defect.casefold() == GOOD


def is_good_style(style: str) -> bool:
    """Whether a style's name means pictures without a defect: hazelnut-good."""
    return is_good(style.partition(_MARK)[2])


def has_defects(root: Path) -> bool:
    """Whether a folder lies as MVTec's does."""
    return root.is_dir() and bool(_categories(root))


def _categories(root: Path) -> list[str]:
    return [name for name in _folders(root) if _folders(root / name / _TEST)]


def _where(root: Path) -> str:
    """What to name in place of a folder that lies too high or too low."""
    path = root.absolute()
    for above in list(path.parents)[:_ABOVE]:
        category = path.relative_to(above).parts[0]
        if category in _categories(above):
            return f"it lies too low, name {above} and choose defects with styles, such as {_some(above, category)}"
    found = list(_below(root, _BELOW))
    if len(found) == 1:
        return f"it lies too high, name {found[0]}"
    return f"name the folder of the categories, such as {found[0] if found else 'mvtec_anomaly_detection'}"


def _some(root: Path, category: str) -> str:
    """The name of a defect of a category, or of one that it might have."""
    defects = [name for name in _folders(root / category / _TEST) if not is_good(name)]
    return style_of(category, defects[0] if defects else "hole")


def _below(root: Path, deep: int) -> Iterator[Path]:
    for name in _folders(root):
        if _categories(root / name):
            yield root / name
        elif deep > 1:
            yield from _below(root / name, deep - 1)


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if not is_system(path.name) and path.is_dir())
    except OSError:
        return []
