"""What makes a picture one that the contest takes, as a line of Python that a hint can print.

Each stands behind the hint's first ": " and means the file `path`, with Image, ImageOps, ImageCms and PngImagePlugin of
Pillow, base64, io and Path. A test runs them all, on the findings that they are for.
"""

from __future__ import annotations

from collections.abc import Sequence

from contest.entry.png import GREY, GREY_ALPHA, RGBA, Chunk, Header, colour_problem, file_gamma, profile_space

SAVE_ANEW = "save it again, which leaves out the rest: Image.open(path).save(path)"
CLOSED = (
    "Image.open(io.BytesIO(Path(path).read_bytes()))"  # of several frames Pillow keeps a file open, to be saved over
)
FIRST_FRAME = f"save its first frame alone, readers disagree on which one they show: {CLOSED}.save(path)"
TURN = "turn the pixels and save without EXIF: ImageOps.exif_transpose(Image.open(path)).save(path)"
WITHOUT_NOTES = (
    "nothing else is wrong with it, save it without metadata: "
    "PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 1 << 30; "
    "Image.open(path).save(path, icc_profile=None)"
)
_OPEN, _UPRIGHT = "Image.open(path)", "ImageOps.exif_transpose(Image.open(path))"
_SRGB_GAMMA = 45455


def to_rgb(header: Header, transparent: bool, turned: bool) -> str:
    """How to get 8-bit RGB from another kind. `transparent`: in degrees or by an alpha channel; `turned`: by EXIF.

    Pillow clips 16-bit grey at 255 and takes a transparent colour along when it converts to RGB.
    """
    opened = _UPRIGHT if turned else _OPEN
    if header.colour == GREY and header.depth == 16:
        scaled = f"{opened}.convert('I').point(lambda value: value / 257 + 0.5).convert('L')"
        return f"bring 16 bits down to 8: im = {scaled}; im.info.clear(); im.convert('RGB').save(path)"
    profile = "None" if header.colour in (GREY, GREY_ALPHA) else "im.info.get('icc_profile')"  # grey's fits no RGB
    if transparent:
        return (
            f"lay it over white, as it is seen: im = {opened}; seen = im.convert('RGBA'); "
            "white = Image.new('RGBA', im.size, 'white'); "
            f"Image.alpha_composite(white, seen).convert('RGB').save(path, icc_profile={profile})"
        )
    kept = ", icc_profile=None" if profile == "None" else ""
    if header.depth == 16 and header.colour != RGBA:  # a transparent colour of 16 bits is none that Pillow knows
        return f"convert it: im = {opened}; im.info.pop('transparency', None); im.convert('RGB').save(path{kept})"
    return f"convert it: {opened}.convert('RGBA').convert('RGB').save(path{kept})"


def to_srgb(chunks: Sequence[Chunk]) -> str:
    """How to get rid of a colour space: by bringing the pixels to sRGB where one line can."""
    problem = colour_problem(chunks)
    if problem == b"iCCP" and profile_space(chunks) in (b"RGB ", b"GRAY"):
        return (
            "the checker ignores profiles, so bring the pixels to sRGB and save without one: im = Image.open(path); "
            "ImageCms.profileToProfile(im, io.BytesIO(im.info['icc_profile']), ImageCms.createProfile('sRGB'), "
            "outputMode='RGB').save(path, icc_profile=None)"
        )
    gamma = file_gamma(chunks)
    if problem == b"gAMA" and gamma > 0:
        power = f"(v / 255) ** ({_SRGB_GAMMA} / {gamma})"
        return (
            "the checker ignores the gamma, so bring the pixels to sRGB and save without it: "
            f"Image.open(path).convert('RGB').point([round(255 * {power}) for v in range(256)] * 3).save(path)"
        )
    return (
        "the checker ignores it; if the pixels are meant as sRGB, save them without it: "
        "Image.open(path).save(path, icc_profile=None)"
    )


def to_size(size: tuple[int, int], wanted: tuple[int, int]) -> str:
    """How to get from one size to another, both (width, height) in pixels."""
    if size[0] * wanted[1] != size[1] * wanted[0]:
        return f"draw it again at {wanted[0]}x{wanted[1]}; it has another shape, which resizing would distort"
    return (
        f"resize it, or draw it again at that size: Image.open(path).resize(({wanted[0]}, {wanted[1]}), "
        "Image.Resampling.LANCZOS).save(path)"
    )


def to_side(side: int) -> str:
    """How to make a picture fit into `side` pixels square."""
    return f"make it smaller: im = Image.open(path).convert('RGB'); im.thumbnail(({side}, {side})); im.save(path)"
