"""Inputs that someone might give by mistake: bytes and JSON near to what is right, and how an answer is judged."""

import json
import os
import re

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONG = int(os.environ.get("RNNJAX_FUZZ", 0))
STYLE = re.compile(r"^[\w. ]+: .+ (must|but|needs?|cannot) .+[.)]$", re.DOTALL)
ODD = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\n", b"\r\n", b"\t", b" ", b",", b":", b";", b"=", b"@", b"#", b"%", b'"',
    b"'", b"<", b">", b"&", b"[", b"]", b"{", b"}", b"(", b")", b"?", b"-", b"0", b"-1", b"1e999", b"nan", b"inf",
    b"99999999999999999999", b"true", b"null", b"\xea\xb0\x80", b"\xf0\x9f\x8e\xb5", b"<![", b"&#99999999;", b"1-2",
    b"\xe2\x80\xa8", b"2.5", b"\xc2\xb2", b"\xd9\xa3", b"\x1b", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff",
)  # fmt: skip


def trying(count):
    """So many examples; or those of a long run, other ones each time."""
    return settings(
        max_examples=LONG or count, deadline=None, derandomize=not LONG, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


@st.composite
def edited(draw, content: bytes):
    """`content` after one to four edits: a piece cut out, doubled, put elsewhere, or replaced by something odd."""
    for _ in range(draw(st.integers(1, 4))):
        a = draw(st.integers(0, len(content)))
        b = min(len(content), a + draw(st.sampled_from([0, 1, 1, 2, 3, 4, 8, 20, 100, 10**6])))
        kind = draw(st.sampled_from(["odd", "odd", "any", "double", "bit", "move"]))
        piece = content[a:b]
        if kind == "odd":
            piece = draw(st.sampled_from(ODD))
        elif kind == "any":
            piece = draw(st.binary(max_size=6))
        elif kind == "double":
            piece = 2 * piece
        elif kind == "bit" and piece:
            piece = bytes([piece[0] ^ (1 << draw(st.integers(0, 7)))]) + piece[1:]
        elif kind == "move":
            content, piece = content[:a] + content[b:], content[a:b]
            a = b = draw(st.integers(0, len(content)))
        content = content[:a] + piece + content[b:]
    return content


NUMBERS = st.integers(-3, 3) | st.integers() | st.floats() | st.sampled_from([2**31, 2**32, 2**63, 10**400])
PLAIN = st.none() | st.booleans() | NUMBERS | st.text(max_size=6)
VALUES = st.recursive(
    PLAIN, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=4), x, max_size=3), max_leaves=4
)


def parts(plain):
    return plain.values() if isinstance(plain, dict) else plain


@st.composite
def changed(draw, plain: dict, words=()):
    """Plain data after one to three changes somewhere within: a value for another, one more, or one less."""
    plain = json.loads(json.dumps(plain))
    for _ in range(draw(st.integers(1, 3))):
        at = plain
        while (inner := [x for x in parts(at) if isinstance(x, dict | list) and x]) and draw(st.booleans()):
            at = draw(st.sampled_from(inner))
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            continue
        key, value = draw(st.sampled_from(keys)), draw(VALUES | st.sampled_from(words) if words else VALUES)
        kind = draw(st.sampled_from(["value", "value", "value", "more", "less"]))
        if kind == "less":
            del at[key]
        elif kind == "more" and isinstance(at, dict):
            at[draw(st.text(max_size=5))] = value
        else:
            at[key] = value
    return plain


def judged(act, *args):
    """Run it. What comes out is a result, or an error in words of ours: nothing else is let through."""
    try:
        return act(*args)
    except OSError:
        return None
    except (ValueError, TypeError) as error:
        if not STYLE.match(str(error)):
            raise AssertionError(f"the message should be ours, but it is {error!r}") from error
