"""Fonts, cut down to the characters that the book shows."""

import hashlib
import logging
from pathlib import Path

logging.getLogger("fontTools").setLevel(logging.ERROR)


def subset(source: Path, characters: set[int], target: Path, *, features: tuple[str, ...] = ()) -> Path:
    """A WOFF2 font with these code points, beside `target` with the digest of its content in the name.

    Larger variants of stretching mathematical signs (the MATH table) come along. An existing file is kept.
    """
    key = hashlib.sha256(repr((source.stat().st_size, sorted(characters), features)).encode()).hexdigest()[:8]
    path = target.with_name(f"{target.stem}-{key}.woff2")
    if not path.exists():
        from fontTools import subset as fonttools

        options = fonttools.Options(flavor="woff2", layout_features=list(features), notdef_outline=True,
                                    name_IDs=[0, 1, 2, 13, 14], hinting=False, glyph_names=False)
        font = fonttools.load_font(source, options)
        subsetter = fonttools.Subsetter(options)
        subsetter.populate(unicodes=characters)
        subsetter.subset(font)
        for stale in target.parent.glob(f"{target.stem}-*.woff2"):
            stale.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        fonttools.save_font(font, path, options)
    return path
