"""Korean text: LibreOffice's help, as Debian installs it."""

from html.parser import HTMLParser
from pathlib import Path

from rnnjax.data.parts import Parts, fraction
from rnnjax.data.source import given, say, text
from rnnjax.data.text import split
from rnnjax.types import Location

DEBIAN = Path("/usr/share/libreoffice/help/ko")
TERMS = "LibreOffice's help, copyright its contributors, MPL-2.0"
BREAKS = {
    "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ul", "ol", "dl", "dt", "dd", "table", "tr", "td", "th",
    "pre", "br",
}  # fmt: skip


def korean(path: Location | None = None) -> Parts:
    """Korean text, a paragraph a line, in three parts: 90, 5 and 5 % of its characters, in a row.

    Args:
        path: a folder of LibreOffice's help pages in Korean; without it /usr/share/libreoffice/help/ko, where
            Debian's libreoffice-help-ko (3.3 MB) puts it.

    A page is what its `DisplayArea` shows. Of paragraphs that are the same, mostly passages shared by pages, the first
    is kept, so that none is learnt from and judged by; paragraphs without a Hangul syllable, not translated yet, are
    left out. Pages are whole and follow one another by the hash of their path, so the parts are of all subjects. The
    three joined are one text that `split` parts again in the same places: write it to a file for `rnnjax train`.

    Raises ValueError if there is no such folder, or no Korean page in it.
    """
    folder = _installed() if path is None else given("korean", path)
    pages = sorted(folder.rglob("*.html"), key=lambda page: fraction(page.relative_to(folder).as_posix()))
    lines = dict.fromkeys(line for page in pages for line in paragraphs(text("korean", page)))
    whole = "".join(f"{line}\n" for line in lines if any("가" <= letter <= "힣" for letter in line))
    if not whole:
        raise ValueError(f"korean: the pages must hold Korean, but {folder} has none that do. Give the folder help/ko.")
    return Parts(*split(whole))


def _installed():
    if not DEBIAN.exists():
        raise ValueError(
            f"korean: the data must be there, but {DEBIAN} does not exist. Run apt-get install libreoffice-help-ko, or "
            "give its path."
        )
    say(f"korean: {TERMS}")
    return DEBIAN


def paragraphs(page: str) -> list[str]:
    """The text of a help page in HTML, paragraph by paragraph, with single spaces.

    >>> paragraphs("<title>-</title><div id=DisplayArea><h1>봄</h1><p>새 <b>책</b>상\\n둘</p></div><p>-")
    ['봄', '새 책상 둘']
    """
    reader = _Reader()
    try:
        reader.feed(page)
        reader.close()
    except AssertionError:  # of Python's parser, for a declaration that it cannot read
        raise ValueError("korean: a page must be HTML, but one has a torn declaration. Fetch it again.") from None
    return [line for line in (" ".join("".join(run).split()) for run in reader.runs) if line]


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.depth, self.runs = 0, [[]]

    def handle_starttag(self, tag, attrs):
        if tag == "div" and (self.depth or ("id", "DisplayArea") in attrs):
            self.depth += 1
        if tag in BREAKS:
            self.runs.append([])

    def handle_endtag(self, tag):
        if tag == "div" and self.depth:
            self.depth -= 1
        if tag in BREAKS:
            self.runs.append([])

    def handle_data(self, data):
        if self.depth:
            self.runs[-1].append(data)
