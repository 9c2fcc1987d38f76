r"""Hangul syllables as the jamo that they are written with, and back, for any text."""

import re
from collections.abc import Iterable, Iterator

FIRST, LEADS, VOWELS, TAILS = 0xAC00, 0x1100, 0x1161, 0x11A7
V, T = 21, 28
SYLLABLES = 19 * V * T
LITERAL = "\ufdd0"
LEAD, VOWEL, TAIL = "[\u1100-\u1112]", "[\u1161-\u1175]", "[\u11a8-\u11c2]"
PIECE = re.compile(f"{LITERAL}.?|{LEAD}(?:{VOWEL}{TAIL}?)?|.", re.DOTALL)
OPEN = re.compile(f"{LITERAL}|{LEAD}{VOWEL}?")
STRAY = re.compile(f"{LITERAL}|{LEAD}|{VOWEL}|{TAIL}")


def jamo(text: str) -> str:
    r"""`text` with each Hangul syllable (U+AC00 to U+D7A3) as its 2 or 3 conjoining jamo, as Unicode's NFD has it.

    All else stays. Where the text itself holds such a jamo (U+1100 to 1112, 1161 to 1175, 11A8 to 11C2), the
    noncharacter U+FDD0 comes before it, as it does before a U+FDD0, so that `syllables` gives back the very text.

        >>> [hex(ord(letter)) for letter in jamo("봄!")]
        ['0x1107', '0x1169', '0x11b7', '0x21']
        >>> jamo("\u1107") == "\ufdd0\u1107"
        True

    The Unicode Standard, section 3.12, conjoining jamo behavior.
    """
    return text.translate(_TABLE)


def syllables(letters: str) -> str:
    r"""The text that `jamo` took apart; of other letters, such as a model writes, what does not join stays single.

    >>> syllables(jamo("나라말 \u1102\u1161 ㅋ")) == "나라말 \u1102\u1161 ㅋ"
    True
    >>> syllables("\u1102\u1102\u1161\u1161") == "\u1102나\u1161"
    True
    """
    return PIECE.sub(lambda found: _joined(found[0]), letters)


def composed(pieces: Iterable[str]) -> Iterator[str]:
    """`syllables` of letters that come in pieces: a syllable is given as soon as nothing to come can change it.

    >>> list(composed(jamo("봄 가")))
    ['', '', '봄', ' ', '', '', '가']
    """
    held = ""
    for piece in pieces:
        found = PIECE.findall(held + piece)
        held = found.pop() if found and OPEN.fullmatch(found[-1]) else ""
        yield "".join(map(_joined, found))
    yield _joined(held)


def _joined(piece):
    if piece[:1] == LITERAL:
        return piece[1:] or piece
    if len(piece) < 2:
        return piece
    lead, vowel, tail = (ord(letter) - base for letter, base in zip(piece.ljust(3, "\u11a7"), (LEADS, VOWELS, TAILS)))
    return chr(FIRST + (lead * V + vowel) * T + tail)


def _letters(k):
    lead, vowel, tail = k // (V * T), k // T % V, k % T
    return chr(LEADS + lead) + chr(VOWELS + vowel) + (chr(TAILS + tail) if tail else "")


_TABLE = {FIRST + k: _letters(k) for k in range(SYLLABLES)}
_TABLE |= {point: LITERAL + chr(point) for point in range(0x1100, 0x11C3) if STRAY.fullmatch(chr(point))}
_TABLE |= {ord(LITERAL): 2 * LITERAL}
