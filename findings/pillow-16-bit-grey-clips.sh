#!/usr/bin/env bash
# Package: Pillow 13.0.0 (NumPy 1.26.4 for looking).
# Behaviour: a 16-bit grey PNG (mode I;16) comes out of convert("RGB"), ("L") or ("RGBA") with every value above 255 at 255: an
#   ordinary picture is plain white, two different ones are equal. Nothing is raised. Dividing by 257 first keeps it.
# One would guess otherwise: 65535 is white in the file, so to eight bits it should be scaled, as viewers, libpng and OpenCV do;
#   and a 16-bit PNG in colour is scaled by the same Pillow when it is opened.
# Docs: https://pillow.readthedocs.io/en/stable/handbook/concepts.html#modes, https://github.com/python-pillow/Pillow/issues/2574
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq pillow==13.0.0 numpy==1.26.4
cat > "$folder/look.py" <<'PYTHON'
import io
import struct
import sys
import zlib

import numpy as np
from PIL import Image

ramp = (np.arange(4096).reshape(64, 64) * 15 + 1000).astype(np.uint16)


def png(values, colour_type):
    """A 16-bit PNG, every row without a filter."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    size = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return Image.open(io.BytesIO(data))


grey, turned = png(ramp, 0), png(ramp[::-1], 0)
colour = png(np.repeat(ramp[..., None], 3, axis=2), 2)
white = {mode: np.unique(np.asarray(grey.convert(mode))).tolist() for mode in ("RGB", "L", "RGBA")}
equal = np.array_equal(np.asarray(grey.convert("RGB")), np.asarray(turned.convert("RGB")))
kept = np.asarray(Image.fromarray((np.asarray(grey) / 257).round().astype(np.uint8)).convert("RGB"))
print("grey, 16 bits:", grey.mode, "from", int(np.asarray(grey).min()), "to", int(np.asarray(grey).max()))
print("values after convert:", white, "- the picture upside down is the same:", equal)
print("grey / 257:", int(kept.min()), "to", int(kept.max()), "- colour, 16 bits:", colour.mode, colour.getextrema()[0])
if any(values != [255] for values in white.values()) or not equal:
    sys.exit("changed: convert no longer clips 16-bit grey at 255")
if colour.getextrema()[0] != (3, 243) or (int(kept.min()), int(kept.max())) != (4, 243):
    sys.exit("changed: 16-bit colour, or the value / 257, is another one")
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
