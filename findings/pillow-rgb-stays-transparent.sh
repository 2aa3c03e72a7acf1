#!/usr/bin/env bash
# Package: Pillow 13.0.0.
# Behaviour: a PNG with one transparent colour (tRNS; in RGB, in grey, or one entry of a palette) still has it after
#   convert("RGB") and save: the mode says RGB, and readers make an alpha channel of it. By convert("RGBA").convert("RGB") it goes.
# One would guess otherwise: RGB has no alpha, so convert("RGB") is the usual way to flatten a picture, and for a PNG of mode
#   RGBA or LA it is. Here it can be repeated for ever.
# Docs: https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.convert
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq pillow==13.0.0
cat > "$folder/look.py" <<'PYTHON'
import io
import sys

from PIL import Image


def saved(image, **options):
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def picture(mode):
    """Two columns, the left one of the colour that is transparent."""
    if mode == "P":
        image = Image.new("P", (2, 2), 1)
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.putpixel((0, 0), 0)
        return saved(image, transparency=0)
    clear, solid = ((255, 0, 0), (0, 0, 255)) if mode == "RGB" else (90, 200)
    image = Image.new(mode, (2, 2), solid)
    image.putpixel((0, 0), clear)
    return saved(image, transparency=clear)


for mode in ("RGB", "L", "P"):
    opened = Image.open(io.BytesIO(picture(mode)))
    once = saved(opened.convert("RGB"))
    again = saved(Image.open(io.BytesIO(once)).convert("RGB"))
    through = saved(opened.convert("RGBA").convert("RGB"))
    alpha = Image.open(io.BytesIO(again)).convert("RGBA").getpixel((0, 0))[3]
    print(f"{opened.mode} with a transparent colour: tRNS after convert('RGB')", b"tRNS" in once, "- after a second time",
          b"tRNS" in again, "- by way of RGBA", b"tRNS" in through, "- alpha of the pixel", alpha)
    if b"tRNS" not in once or b"tRNS" not in again or alpha != 0:
        sys.exit(f"changed: convert('RGB') now drops the transparent colour of mode {mode}")
    if b"tRNS" in through:
        sys.exit(f"changed: the way by RGBA no longer drops it for mode {mode}")
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
