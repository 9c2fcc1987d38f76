"""Small pictures with their English names."""

import json
from typing import NamedTuple

import numpy as np

from rnnjax.data.parts import Parts, divide
from rnnjax.data.source import source, stored
from rnnjax.types import Location

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
DRAWN, WIDTH, HEIGHT = 109, 136, 128


class Pictures(NamedTuple):
    """`xs[i]` is a picture, uint8 (32, 32, 3), and `names[i]` what it shows."""

    xs: np.ndarray
    names: list[str]


def emoji(path: Location | None = None, *, names: Location | None = None) -> Parts:
    """Emoji: what is the picture called?

    `Parts` of `Pictures`: xs uint8 (N, 32, 32, 3), red, green and blue on white, and names in lower case, "grinning
    face" or "flag in hole". They are the emoji of one character that the font can draw, no two of the same picture.
    Chosen by a checksum of the name, 80 of a hundred are for training and 10 each for validation and testing.

    Args:
        path: the font NotoColorEmoji.ttf, by default in Debian's place (package fonts-noto-color-emoji, terms OFL).
        names: emoji.json, by default that of the installed emoji (BSD-3), which is not imported.

    Needs Pillow. Raises ValueError if a file is missing, or is not of these.

    The names are those of the Unicode consortium, https://unicode.org/emoji/
    """
    get = "apt-get install fonts-noto-color-emoji"
    terms = "pictures of Noto Color Emoji by Google (OFL 1.1)."
    font = stored("emoji", path, default=FONT, get=get, terms=terms)
    named = source(
        "emoji",
        names,
        package="emoji==2.16.0",
        inside="emoji/unicode_codes/emoji.json",
        terms="names by Unicode, Inc., from emoji (BSD-3).",
    )
    pictures = _pictures(font, _names(named))
    parts = divide(list(pictures.items()), pictures.values(), valid=0.1, test=0.1)
    return Parts(*map(_stacked, parts))


def _names(path):
    """The English name of each emoji of one character, in the order of the characters."""
    try:
        table = json.loads(path.read_text("utf-8"))
        names = {shown.rstrip("\ufe0f"): of["en"] for shown, of in table.items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"emoji: names must be emoji.json of PyPI's emoji, but {path} is not. Give that.") from None
    single = {shown: name for shown, name in sorted(names.items()) if len(shown) == 1}
    return {shown: name.strip(":").replace("_", " ").lower() for shown, name in single.items()}


def _pictures(path, names):
    """A name for the bytes of each different picture that the font has."""
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype(path, DRAWN, layout_engine=ImageFont.Layout.BASIC)
    except OSError:
        raise ValueError(f"emoji: path must be NotoColorEmoji.ttf, but {path} cannot be drawn with. Use it.") from None
    pictures = {}
    for shown, name in names.items():
        image = Image.new("RGB", (WIDTH, WIDTH), "white")
        ImageDraw.Draw(image).text((0, (WIDTH - HEIGHT) // 2), shown, "black", font, embedded_color=True)
        xs = np.asarray(image.resize((32, 32), Image.Resampling.BOX))
        if (xs != 255).any():
            pictures.setdefault(xs.tobytes(), name)
    return pictures


def _stacked(part):
    xs = np.frombuffer(b"".join(xs for xs, _ in part), np.uint8)
    return Pictures(xs.reshape(-1, 32, 32, 3), [name for _, name in part])
