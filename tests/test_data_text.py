"""Real text: each loader on tiny files in the true format, and on the real data where it is installed."""

import unicodedata
from importlib import metadata
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnjax.data import (
    PHONES,
    TAGS,
    Pronounced,
    Reading,
    Sentence,
    Vocabulary,
    bible,
    characters,
    cmudict,
    composed,
    conllu,
    hanja,
    hashed,
    jamo,
    jamo_level,
    korean,
    movie_reviews,
    penn_treebank,
    split,
    syllables,
    tagged,
    tokens,
)
from rnnjax.data.hanja import single, slice_of
from rnnjax.data.korean import DEBIAN, paragraphs
from rnnjax.data.parts import fraction
from rnnjax.data.source import say, source
from rnnjax.tasks import language
from rnnjax.tasks.config import Config

few = settings(max_examples=200, deadline=None)


@pytest.fixture
def file(tmp_path):
    """`file(text)`: the path of a file that holds it."""

    def write(text, name="data.txt"):
        path = tmp_path / name
        path.write_text(text, "utf-8", newline="")
        return path

    return write


def joined(parts):
    return list(chain.from_iterable(parts))


def installed(package):
    """Skips a test on data that is not there."""
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return pytest.mark.skip(f"{package} is not installed")
    return pytest.mark.filterwarnings("default")


# parts


@few
@given(st.lists(st.text(max_size=4), max_size=40), st.randoms())
def test_a_key_decides_the_part_whatever_the_order(keys, random):
    parts = hashed(keys, str, valid=0.3, test=0.3)
    assert sorted(joined(parts)) == sorted(keys)
    assert not (set(parts.train) & set(parts.test) or set(parts.train) & set(parts.valid))
    shuffled = random.sample(keys, len(keys))
    assert [sorted(p) for p in hashed(shuffled, str, valid=0.3, test=0.3)] == [sorted(p) for p in parts]
    more = hashed([*keys, "another"], str, valid=0.3, test=0.3)
    assert all(set(a) <= set(b) for a, b in zip(parts, more))


def test_parts_have_the_sizes_asked_for():
    sizes = [len(part) for part in hashed(range(20_000), str, valid=0.1, test=0.05)]
    np.testing.assert_allclose(sizes, [17_000, 2000, 1000], atol=5 * 20_000**0.5 / 2)


# where data is


@pytest.fixture
def package(tmp_path, monkeypatch):
    """`package("inside")`: the file of an installed package called pretend, of version 1.0."""
    info = tmp_path / "pretend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pretend\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    return lambda inside, name="pretend==1.0": source("here", None, package=name, inside=inside, terms="owned by me")


def test_a_source_is_found_unimported_and_its_terms_are_said_once(package, tmp_path, capsys):
    (tmp_path / "data.py").write_text("raise RuntimeError")
    say.cache_clear()
    assert package("data.py") == package("data.py") == tmp_path / "data.py"
    assert capsys.readouterr() == ("", "here: owned by me\n")
    assert source("here", str(tmp_path), package="", terms="not said: it is the user's own") == tmp_path
    assert capsys.readouterr().err == ""


def test_a_source_refuses(package):
    with pytest.raises(ValueError, match=r"package must be pretend==1\.0, but it has no data\.py\. Run pip inst"):
        package("data.py")
    with pytest.raises(ValueError, match=r"here: the data must be there, but absent==2 is not installed\. Run pip"):
        package("data.py", name="absent==2")


# Penn Treebank

PENN = {"train": " the u.s. <unk> N \n it 's 1\\/2 \n", "valid": " it is \n", "test": " no \n"}
READ = ("the u.s. <unk> N\nit 's 1\\/2\n", "it is\n", "no\n")


def test_penn_of_either_form(file):
    module = "penn = {}\n" + "".join(f'penn["{name}"] = """{text}"""\n' for name, text in PENN.items())
    assert "\\/" in module, "an escape that Python warns of"
    assert penn_treebank(file(module)) == READ
    for name, text in PENN.items():
        path = file(text, f"ptb.{name}.txt")
    assert penn_treebank(path.parent) == READ


def test_penn_refuses(file):
    with pytest.raises(ValueError, match=r"must hold train, valid and test, but .* has no valid\. Give the folder"):
        penn_treebank(file("penn = {}\npenn['train'] = 'a'\n"))
    with pytest.raises(ValueError, match=r"penn_treebank: path must exist, but nowhere does not\. Check"):
        penn_treebank("nowhere")


def test_tokens_are_what_stands_between_spaces():
    v = tokens(READ[0])
    assert v.symbols == ("<unk>", "\n", "'s", "1\\/2", "N", "it", "the", "u.s.")
    assert v.encode(READ[0]).tolist() == [6, 7, 0, 4, 1, 5, 2, 3, 1]
    assert v.decode(v.encode(READ[0])) == READ[0]
    assert v.decode(v.encode("the  new\n\nu.s. ")) == "the <unk>\n\nu.s."
    assert Vocabulary.from_json(v.to_json()) == v
    assert tokens("a b b", size=2).symbols == ("<unk>", "b")


@installed("treebank")
def test_the_penn_treebank():
    parts = penn_treebank()
    v = tokens(parts.train)
    assert len(v) == 10_000 and len(characters(parts.train)) == 51
    assert [len(v.encode(part)) for part in parts] == [929_589, 73_760, 82_430]
    assert [part.count("\n") for part in parts] == [42_068, 3_370, 3_761]
    assert [len(part) for part in parts] == [5_017_482, 393_042, 442_423]
    assert v.decode(v.encode(parts.test)) == parts.test, "no word of it is new"


# reviews


def test_reviews_are_read_once_and_split(file):
    rows = [(f"Film {i}, <br />“so”", i % 3 == 0, "imdb") for i in range(300)]
    rows += [("film 7:<br /><br />so", 1, "imdb"), ("not from there", 1, "rotten_tomatoes")]
    text = "text,label,source\r\n" + "".join(f'"{t}",{int(label)},{source}\r\n' for t, label, source in rows)
    parts = movie_reviews(file(text))
    texts = joined(part.texts for part in parts)
    assert sorted(texts) == sorted(f"Film {i}, \n“so”" for i in range(300)), "the first of a pair stays"
    for part in parts:
        assert part.labels.dtype == np.int32
        assert part.labels.tolist() == [int(t.split()[1].strip(",")) % 3 == 0 for t in part.texts]
        assert len(part.texts) > 10
    again = movie_reviews(file("text,label,source\r\n" + "".join(reversed(text.splitlines(keepends=True)[1:]))))
    order = [[text.lower() for text in part.texts if "7" not in text] for part in parts]
    assert [[t.lower() for t in part.texts if "7" not in t] for part in again] == order, "the rows' order is no matter"


def test_reviews_refuse_other_columns(file):
    with pytest.raises(ValueError, match=r"columns must be text, label and source, but .* has no source\. Give"):
        movie_reviews(file("text,label\r\na,1\r\n"))


@installed("movie-reviews")
def test_the_reviews():
    parts = movie_reviews()
    assert [len(part.texts) for part in parts] == [19_941, 2_541, 2_419]
    assert all(abs(part.labels.mean() - 0.5) < 0.01 for part in parts)
    assert not set(parts.train.texts) & set(parts.test.texts)
    assert 165 < np.median([len(text.split()) for text in parts.train.texts]) < 180


# tagged sentences


def row(place, form, tag):
    return f"{place}\t{form}\t_\t{tag}" + 6 * "\t_" + "\n"


def sentence(name, *rows):
    return f"# sent_id = {name}\n# text = x\n" + "".join(row(*r) for r in rows) + "\n"


def test_conllu_takes_the_words_only(file):
    text = sentence(
        "a-1", ("1-2", "do", "_"), (1, "de", "ADP"), (2, "o", "DET"), ("2.1", "nada", "VERB"), (3, "#", "_")
    )
    text += "\n" + row(1, "Fim", "NOUN")  # no name, and no empty line at the end
    expected = [Sentence(("de", "o", "#"), ("ADP", "DET", "_"), "a-1"), Sentence(("Fim",), ("NOUN",), "")]
    assert conllu(file(text)) == expected == conllu(file(text.replace("\n", "\r\n")))


def test_conllu_refuses(file):
    with pytest.raises(ValueError, match=r"a word must have ten columns, but line 3 of .* has 2\. Give a CoNLL-U file"):
        conllu(file("# c\n\n1\tde\n"))
    with pytest.raises(ValueError, match=r"conllu: path must be a file, but nowhere is none\. Check"):
        conllu("nowhere")


def test_tagged_splits_by_document_and_drops_what_came_before(file):
    documents = "24-20150122-MONOGRAFIA_0", "240-20140220-MONOGRAFIA_0", "119-20141209-TESEMSC_0"
    rows = [sentence(f"{d}-{i}", (1, f"{d}{i}", "X")) for d in documents for i in range(3)]
    again = sentence(f"{documents[2]}-9", (1, f"{documents[0]}1", "X"))
    parts = tagged(file("".join(rows) + again))
    assert [[s.name for s in part] for part in parts] == [[f"{d}-{i}" for i in range(3)] for d in documents]
    with pytest.raises(ValueError, match=r"tagged: the file must be PetroGold's, but .* lacks its documents\. Read"):
        tagged(file(rows[0]))


@installed("dante-corpora")
def test_petrogold():
    parts = tagged()
    assert [len(part) for part in parts] == [7_177, 727, 1_044]
    assert {tag for part in parts for s in part for tag in s.tags} == set(TAGS) and len(TAGS) == 17
    whole = conllu(metadata.distribution("dante-corpora").locate_file("dante/data/petrogold/annotated.conllu"))
    assert (len(whole), sum(len(s.words) for s in whole)) == (9_127, 253_640)


# pronunciation

DICT = """'bout B AW1 T
a AH0
a(2) EY1
a.m. EY2 EH1 M
ad-hoc AE1 D HH AA1 K
aalborg AO1 L B AO0 R G # place, danish
aalborg(2) AA1 L B AO0 R G
abacus AE1 B AH0 K AH0 S
abacus(2) AE1 B AH2 K AH0 S
"""


def test_cmudict(file):
    entries = sorted(joined(cmudict(file(DICT))))
    assert entries == [
        Pronounced("'bout", (("B", "AW", "T"),)),
        Pronounced("a", (("AH",), ("EY",))),
        Pronounced("aalborg", (("AO", "L", "B", "AO", "R", "G"), ("AA", "L", "B", "AO", "R", "G"))),
        Pronounced("abacus", (("AE", "B", "AH", "K", "AH", "S"),)),
    ]
    with pytest.raises(ValueError, match=r"must hold lines as 'a AH0', but .* has none\. Give cmudict/data"):
        cmudict(file("HELLO\n"))


@installed("cmudict")
def test_the_cmudict():
    parts = cmudict()
    assert [len(part) for part in parts] == [112_447, 6_235, 6_244]
    every = joined(parts)
    assert len({p.word for p in every}) == len(every)
    assert {phone for p in every for way in p.ways for phone in way} == set(PHONES) and len(PHONES) == 39
    assert sum(len(p.ways) > 1 for p in every) == 8_113


# Hanja

ROWS = "# notice\n\n가:加:더할 가\n음악:音樂:\n음악:音樂:music\n오락:娛樂:\n"
ROWS += "가구:佳句:\n가귀:佳句:\n낙원:樂園洞:\nㄱ자집:ㄱ字집:\n"  # two readings; more characters; other letters


def test_hanja_of_a_file(file):
    assert single(ROWS) == [Reading("音樂", "음악"), Reading("娛樂", "오락")]
    assert sorted(joined(hanja(file(ROWS)))) == sorted(single(ROWS))
    assert slice_of(ROWS).startswith("# notice\n\n")
    with pytest.raises(ValueError, match=r"must hold lines as 음악:音樂:, but .* has none\. Give libhangul's"):
        hanja(file("가:加:\n"))


def test_the_shipped_hanja_hang_on_their_neighbours():
    parts = hanja()
    assert [len(part) for part in parts] == [16_630, 971, 903]
    every = joined(parts)
    assert len({r.characters for r in every}) == len(every)
    assert all(len(r.characters) == len(r.syllables) >= 2 for r in every)
    assert {r.syllables[r.characters.index("樂")] for r in every if "樂" in r.characters} >= {"락", "악", "낙"}


# jamo

TRICKY = "가각힣나 a\n\ufdd0\ufdd0\u1100\u1112\u1113\u115f\u1161\u1175\u11a7\u11a8\u11c2\u11c3ㄱㅏ\ufffd\ud800"
TEXTS = st.one_of(st.lists(st.sampled_from(TRICKY)).map("".join), st.text())


@settings(max_examples=1000, deadline=None)
@given(TEXTS)
def test_jamo_give_back_any_text(text):
    assert syllables(jamo(text)) == text
    assert "".join(composed(jamo(text))) == text


def test_jamo_are_those_of_unicode():
    every = "".join(map(chr, range(0xAC00, 0xD7A4)))
    assert jamo(every) == unicodedata.normalize("NFD", every)
    assert syllables(jamo(every)) == every
    assert len(set(jamo(every))) == 67


@few
@given(st.text(st.sampled_from("\u1100\u1102\u1161\u1162\u11a8\u11ab\ufdd0a "), max_size=12), st.randoms())
def test_pieces_make_the_text_of_the_whole(letters, random):
    cuts = sorted(random.randrange(len(letters) + 1) for _ in range(3))
    pieces = [letters[a:b] for a, b in zip([0, *cuts], [*cuts, len(letters)])]
    assert "".join(composed(pieces)) == syllables(letters)
    if "\ufdd0" not in letters:
        assert syllables(letters) == unicodedata.normalize("NFC", letters)


def test_a_syllable_is_given_as_soon_as_it_is_whole():
    taken = []
    pieces = [(len(taken), piece) for piece in composed(taken.append(x) or x for x in jamo("봄 가나")) if piece]
    assert pieces == [(3, "봄"), (4, " "), (7, "가"), (8, "나")]


@few
@given(TEXTS.map("{}a".format))
def test_a_jamo_vocabulary_gives_back_its_text(text):
    v = jamo_level(text)
    ids = v.encode(text)
    assert len(ids) == len(jamo(text)) and v.decode(ids) == text
    assert Vocabulary.from_json(v.to_json()) == v


def test_jamo_are_few():
    text = "태초에 하나님이 천지를 창조하시니라" * 3
    assert len(jamo_level(text)) < 26
    assert jamo_level(text, size=3).symbols[1:] == ("\u1161", "\u1175"), "five times each, before any other"


def test_bits_are_of_characters_of_the_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("태초에 하나님이 천지를 창조하시니라.\n" * 40, "utf-8")
    by_jamo, by_char = (language.corpus(Config(text=str(path), unit=unit)) for unit in ("jamo", "char"))
    assert by_jamo.characters == by_char.characters
    assert len(by_jamo.train) > 1.8 * len(by_char.train) == 1.8 * by_char.characters["train"]
    assert by_jamo.vocabulary.decode(by_jamo.test) == by_char.vocabulary.decode(by_char.test)


def test_tokens_can_be_learnt(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("a u.s. <unk> \n" * 40, "utf-8")
    corpus = language.corpus(Config(text=str(path), unit="token"))
    assert corpus.vocabulary.symbols[0] == "<unk>" and set(corpus.vocabulary.symbols[1:]) == {"a", "u.s.", "\n"}


@pytest.mark.parametrize(
    "prompt, drawn, text",
    [
        ("하", "\u11ab글", "한글"),
        ("하", "나", "하나"),
        ("\n", "봄", "봄"),
        ("a", "\u1107", "a\u1107"),
        ("한", "\u11ab", "한\u11ab"),
    ],
)
def test_what_is_drawn_may_complete_the_prompt(monkeypatch, prompt, drawn, text):
    v = jamo_level("한글 하나 봄\nab")
    ids = [v.symbols.index(letter) for letter in unicodedata.normalize("NFD", drawn)]
    monkeypatch.setattr(language, "sample", lambda *args, **options: iter(ids))
    assert "".join(language.sampled(None, v, None, prompt, 1.0, 10, 0)) == text


# Korean text

PAGE = """<html><title>no</title><body><header><p>머리</p></header><div class="x"><p>밖</p></div>
<div id="DisplayArea" itemprop="help"><a name="x"></a><h1>제목</h1>
<p class="paragraph">첫 <span>단</span>락은&nbsp;이렇게\n&lt;끝&gt;.</p><div><p>안</p></div><p>English</p>{}
<ul><li>하나<li>둘</ul></div>
<div><p>뒤</p></div></body></html>"""


def test_paragraphs_are_what_a_page_shows():
    assert paragraphs(PAGE) == ["제목", "첫 단락은 이렇게 <끝>.", "안", "English", "{}", "하나", "둘"]


def test_korean_keeps_each_paragraph_once(tmp_path):
    for i in range(40):
        folder = tmp_path / f"{i % 3}"
        folder.mkdir(exist_ok=True)
        (folder / f"{i}.html").write_text(PAGE.format(f"<p>{i}쪽</p>"), "utf-8")
    parts = korean(tmp_path)
    lines = "".join(parts).split("\n")
    assert lines.pop() == ""
    assert sorted(lines) == sorted(
        ["제목", "첫 단락은 이렇게 <끝>.", "안", "하나", "둘", *(f"{i}쪽" for i in range(40))]
    )
    assert split("".join(parts)) == parts
    pages = [line for line in lines if line.endswith("쪽")]
    assert pages == [f"{i}쪽" for i in sorted(range(40), key=lambda i: fraction(f"{i % 3}/{i}.html"))]


def test_korean_refuses(tmp_path):
    with pytest.raises(ValueError, match=r"korean: the pages must hold Korean, but .* has none that do\. Give"):
        korean(tmp_path)
    with pytest.raises(ValueError, match=r"korean: path must exist, but nowhere does not"):
        korean("nowhere")


@pytest.mark.skipif(DEBIAN.exists(), reason="the help is installed")
def test_korean_names_the_package():
    with pytest.raises(ValueError, match=r"the data must be there, but .* Run apt-get install libreoffice-help-ko, or"):
        korean()


@pytest.mark.skipif(not DEBIAN.exists(), reason="the help is not installed")
def test_the_korean_help():
    text = "".join(korean())
    assert len(text) > 700_000 and sum("가" <= letter <= "힣" for letter in text) > 450_000
    assert syllables(jamo(text)) == text


def test_a_text_without_hangul_is_the_same_in_jamo():
    assert jamo(bible()) == bible()
