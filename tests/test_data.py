"""Text, vocabularies, windows and batches: what goes in comes out, once, in order, and in few shapes."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnnjax.data import (
    Vocabulary,
    batches,
    bible,
    byte_level,
    characters,
    keep,
    pad,
    read,
    split,
    windows,
    words,
)

HARD = "Genesis 창세기 태초에\r\n하나님이 👩‍👩‍👧 “æ” e\u0301 \x00\t(end)\n"
few = settings(max_examples=60, deadline=None)


# text


def test_bible():
    text = bible()
    assert len(text) == 1_115_238
    assert len(set(text)) == 65
    assert text.startswith("In the beginning God created")
    assert text.endswith("[the one of] the twain.\n")
    assert "\r" not in text and "\n\n" not in text and text.count("[") == text.count("]")


def test_read_keeps_line_ends_and_drops_the_byte_order_mark(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(("\ufeff" + HARD).encode())
    assert read(path) == HARD
    assert read(str(path)) == HARD


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "read: path must exist, but path '.*text.txt' does not. Check"),
        (b"", "read: the file must hold text, but path '.*text.txt' is empty"),
        (b"abc\xffdef", "must be UTF-8, but path '.*text.txt' has byte 0xff at offset 3, where"),
        ("봄".encode("cp949"), "must be UTF-8, but path '.*text.txt' has byte 0xba at offset 0, where"),
    ],
)
def test_read_refuses(tmp_path, content, message):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read(path)


def test_read_refuses_a_directory(tmp_path):
    with pytest.raises(ValueError, match=r"read: path must be a file, but path '.*' is a directory. Name a file"):
        read(tmp_path)


@few
@given(st.integers(20, 3000), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_split_is_contiguous_and_complete(n, valid, test):
    parts = split(np.arange(n), valid=valid, test=test)
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(n))
    assert abs(len(parts[1]) - n * valid) <= 0.5 and abs(len(parts[2]) - n * test) <= 0.5


def test_split_may_leave_a_part_out_but_not_lose_one():
    assert split("abcd", valid=0, test=0.5) == ("ab", "", "cd")
    assert split("abcd", valid=0, test=0) == ("abcd", "", "")
    with pytest.raises(ValueError, match=r"every part must hold a symbol, but valid is 0 symbols long \(ids holds 3"):
        split("abc")
    with pytest.raises(ValueError, match="every part must hold a symbol, but train is 0 symbols long"):
        split("abcd", valid=0.5, test=0.5)
    with pytest.raises(ValueError, match=r"must be at least 0 and below 1, but test is 5. Write 5 % as 0.05"):
        split("abcd", test=5)


# vocabularies


@few
@given(st.text(min_size=1))
def test_characters_round_trip(text):
    v = characters(text)
    ids = v.encode(text)
    assert ids.dtype == np.int32 and ids.shape == (len(text),)
    assert v.decode(ids) == text
    assert Vocabulary.from_json(v.to_json()) == v


@few
@given(st.text())
def test_bytes_round_trip(text):
    ids = byte_level().encode(text)
    assert ids.dtype == np.int32 and bytes(ids.tolist()) == text.encode()
    assert byte_level().decode(ids) == text


@few
@given(st.text("ab'’-.,;:?![](){}\n <unk>봄é👍", min_size=1).filter(str.strip))
def test_words_lose_only_spacing(text):
    v = words(text + " x", size=None)
    ids = v.encode(text)
    decoded = v.decode(ids)
    assert "".join(decoded.split()) == "".join(text.split())
    assert decoded.count("\n") == text.count("\n")
    np.testing.assert_array_equal(v.encode(decoded), ids)
    assert Vocabulary.from_json(v.to_json()) == v


@pytest.mark.parametrize("build", [characters, words, lambda text: byte_level()])
def test_json_is_the_same_vocabulary(build):
    v = build(HARD + "\ud800")
    again = Vocabulary.from_json(v.to_json())
    assert again == v and hash(again) == hash(v) and v.to_json().isascii()
    np.testing.assert_array_equal(again.encode(HARD), v.encode(HARD))


def test_hard_characters():
    assert characters(HARD).decode(characters(HARD).encode(HARD)) == HARD
    assert byte_level().decode(byte_level().encode(HARD)) == HARD
    lone = "a\ud800b"
    assert characters(lone).decode(characters(lone).encode(lone)) == lone
    assert byte_level().decode([0xEB, 0xB4]) == "\ufffd"


def test_symbols_are_ordered_by_frequency_then_code_point():
    v = characters("ccabbb\ufffd")
    assert v.symbols == ("\ufffd", "b", "c", "a")
    assert characters("ccabbb", size=3).symbols == ("\ufffd", "b", "c")
    assert characters("bca").symbols == ("\ufffd", "a", "b", "c")
    np.testing.assert_array_equal(v.encode("a?\ufffd👍b"), [3, 0, 0, 0, 1])
    assert words("the cat, the dog <unk>\n", size=4).symbols == ("<unk>", "the", "\n", ",")


def test_words_are_tokens():
    v = words("In Beer-sheba, Saul’s men didn't [stop].\nAmen")
    assert {"Beer-sheba", "Saul’s", "didn't", "[", "]", ".", ",", "\n"} < set(v.symbols)
    assert v.decode(v.encode("men ,[ In ] Amen .")) == "men, [In] Amen."


def test_encoding_a_million_characters_is_fast():
    text = bible()
    v = characters(text)
    assert len(v) == 66
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        ids = v.encode(text)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.1
    assert v.decode(ids) == text


def test_a_vocabulary_is_small_to_read():
    assert repr(byte_level()) == "Vocabulary('byte', 256 symbols)"
    assert byte_level().decode([]) == characters("a").decode([]) == words("a").decode([]) == ""
    assert characters("a").encode("").dtype == words("a").encode("").dtype == byte_level().encode("").dtype == np.int32


UNFIT = "symbols must be a tuple of different {}s, any unknown one first, but symbols is not"


@pytest.mark.parametrize(
    "act, error, message",
    [
        (lambda: Vocabulary("letter", ("a",)), ValueError, "'word', 'token' or 'byte', but unit is 'letter'. Use"),
        (lambda: Vocabulary("char", ("a", "b")), ValueError, UNFIT.format("char")),
        (lambda: Vocabulary("char", ("\ufffd", "ab")), ValueError, UNFIT.format("char")),
        (lambda: Vocabulary("word", ("<unk>", "a", "a")), ValueError, UNFIT.format("word")),
        (lambda: Vocabulary("byte", ("a", "b")), ValueError, UNFIT.format("byte")),
        (lambda: characters("ab").decode([0, 3]), ValueError, r"ids must be from 0 to 2, but ids\[1\] is 3. Use"),
        (lambda: words("ab").decode([-1]), ValueError, r"ids must be from 0 to 1, but ids\[0\] is -1"),
        (lambda: byte_level().decode([256]), ValueError, r"ids must be from 0 to 255, but ids\[0\] is 256"),
        (lambda: characters("ab").decode([0.5]), TypeError, r"one sequence of integers, but ids is float64\[1\]"),
        (lambda: characters("ab").decode([[1]]), TypeError, r"one sequence of integers, but ids is int64\[1, 1\]"),
        (lambda: characters("ab").encode(b"ab"), TypeError, "encode: text must be a str, but text is bytes. Decode"),
        (lambda: characters(["ab"]), TypeError, "characters: text must be a str, but text is list"),
        (lambda: words(None), TypeError, "words: text must be a str, but text is NoneType"),
        (lambda: characters(""), ValueError, "text must hold a char, but text holds none. Give the training text"),
        (lambda: words(" \t"), ValueError, "text must hold a word, but text holds none"),
        (lambda: words("a", size=1), ValueError, "size must hold unknown and one word, but size is 1. Use 2 or more"),
        (lambda: Vocabulary.from_json("{"), ValueError, "text must come from to_json, but text is '{'. Save it again"),
        (lambda: Vocabulary.from_json('{"unit": 1}'), ValueError, "text must come from to_json, but text is"),
        (lambda: Vocabulary.from_json("[]"), ValueError, "text must come from to_json, but text is"),
    ],
)
def test_vocabulary_errors(act, error, message):
    with pytest.raises(error, match=message):
        act()


# windows


@few
@given(st.integers(1, 7), st.integers(1, 9), st.integers(0, 120))
def test_windows_are_contiguous_in_every_stream(batch, length, spare):
    ids = np.random.default_rng(spare).integers(0, 50, batch * (length + 1) + spare)
    w = windows(ids, batch=batch, length=length)
    pairs = list(w)
    assert len(pairs) == len(w) >= 1
    assert all(a.shape == (length, batch) and a.dtype == np.int32 for pair in pairs for a in pair)
    inputs = np.concatenate([x for x, _ in pairs])
    targets = np.concatenate([y for _, y in pairs])
    span = len(ids) // batch
    for b in range(batch):
        stream = ids[b * span : (b + 1) * span]
        np.testing.assert_array_equal(inputs[:, b], stream[: len(w) * length])
        np.testing.assert_array_equal(targets[:, b], stream[1 : len(w) * length + 1])
    assert span - 1 - len(w) * length < length


def test_a_step_number_is_enough_to_resume():
    w = windows(np.arange(1000), batch=3, length=10)
    for step in range(2 * len(w) + 3):
        np.testing.assert_array_equal(w.at(step), w[step % len(w)])
        assert w.starts_epoch(step) == (step in (0, len(w), 2 * len(w)))
    assert repr(w) == "Windows(33 of length 10, batch 3)"


def test_windows_read_a_memory_map(tmp_path):
    np.arange(1000, dtype=np.uint16).tofile(tmp_path / "ids")
    w = windows(np.memmap(tmp_path / "ids", np.uint16), batch=2, length=5)
    inputs, targets = w[1]
    np.testing.assert_array_equal(inputs.T, [[5, 6, 7, 8, 9], [505, 506, 507, 508, 509]])
    assert targets.dtype == np.int32


def test_window_errors():
    with pytest.raises(ValueError, match=r"4 streams of 8 steps and a target need 36 symbols, but ids holds 35. Use"):
        windows(np.arange(35), batch=4, length=8)
    with pytest.raises(ValueError, match=r"windows: batch must be at least 1, but batch is 0. Give"):
        windows(np.arange(35), batch=0, length=8)
    with pytest.raises(ValueError, match=r"windows: length must be at least 1, but length is -1. Give"):
        windows(np.arange(35), batch=1, length=-1)
    with pytest.raises(TypeError, match=r"one sequence of integers, but ids is <U2\[\]. Encode"):
        windows("ab", batch=1, length=1)
    with pytest.raises(TypeError, match=r"one sequence of integers, but ids is int64\[2, 2\]"):
        windows(np.ones((2, 2), np.int64), batch=1, length=1)
    with pytest.raises(IndexError, match=r"k must be from 0 to 3, but k is 4. Use at"):
        windows(np.arange(36), batch=4, length=2)[4]


# batches

ragged = st.lists(st.integers(0, 12), min_size=1, max_size=40)


def make(lengths, features=(2,)):
    return [np.full((n, *features), i + 1, np.float32) for i, n in enumerate(lengths)]


@few
@given(ragged, st.integers(0, 3), hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
def test_pad_is_undone_by_lengths(lengths, spare, features):
    sequences = make(lengths, features)
    xs, got = pad(sequences, max(lengths) + spare)
    assert xs.shape == (max(lengths) + spare, len(lengths), *features) and xs.dtype == np.float32
    assert got.dtype == np.int32 and got.tolist() == lengths
    mask = keep(got, len(xs))
    assert mask.dtype == bool and mask.sum(0).tolist() == lengths
    assert not xs[~mask].any()
    for b, sequence in enumerate(sequences):
        np.testing.assert_array_equal(xs[: lengths[b], b], sequence)
        assert mask[: lengths[b], b].all()


def test_pad_takes_empty_lists_and_the_common_dtype():
    xs, lengths = pad([[], np.ones((1, 3), np.float32), np.ones((2, 3), np.float16)])
    assert xs.shape == (2, 3, 3) and xs.dtype == np.float32 and lengths.tolist() == [0, 1, 2]
    assert pad([[], []])[0].shape == (0, 2)


@few
@given(ragged, st.integers(1, 9), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
def test_every_sequence_once_in_few_shapes(lengths, batch, buckets, seed, epoch):
    sequences = make(lengths)
    aligned = [s[:, 0].astype(np.int32) for s in sequences]
    labels = np.arange(len(lengths))
    options = dict(batch=batch, buckets=buckets, seed=seed, epoch=epoch)
    seen, shapes = [], set()
    pairs = zip(batches(sequences, aligned, **options), batches(sequences, labels, **options), strict=True)
    for stepwise, single in pairs:
        shapes.add(stepwise.xs.shape)
        assert stepwise.xs.shape[1] == batch and stepwise.indices.dtype == stepwise.lengths.dtype == np.int32
        np.testing.assert_array_equal(stepwise.xs, single.xs)
        np.testing.assert_array_equal(stepwise.targets, stepwise.xs[..., 0])
        np.testing.assert_array_equal(stepwise.keep, keep(stepwise.lengths, len(stepwise.xs)))
        np.testing.assert_array_equal(stepwise.xs[..., 0].astype(bool), stepwise.keep)
        for b, i in enumerate(stepwise.indices):
            assert stepwise.lengths[b] == (0 if i < 0 else lengths[i])
            assert single.targets[b] == max(i, 0)
            assert i < 0 or (stepwise.xs[stepwise.keep[:, b], b] == i + 1).all()
        seen += [i for i in stepwise.indices.tolist() if i >= 0]
    assert sorted(seen) == list(range(len(lengths)))
    assert len(shapes) <= buckets
    assert max(shape[0] for shape in shapes) == max(1, *lengths)


def test_batches_depend_on_seed_and_epoch_alone():
    sequences = make(np.random.default_rng(0).integers(1, 30, 200))

    def order(**options):
        run = list(batches(sequences, np.zeros((200, 3)), batch=16, **options))
        assert all(b.targets.shape == (16, 3) for b in run)
        return [b.indices.tolist() for b in run], {b.xs.shape for b in run}

    first, shapes = order(seed=1, epoch=2)
    assert order(seed=1, epoch=2) == (first, shapes)
    for other in (dict(seed=1, epoch=3), dict(seed=2, epoch=2), dict(seed=2, epoch=1)):
        again, same = order(**other)
        assert again != first and same == shapes


def test_buckets_pad_less():
    sequences = make(np.random.default_rng(0).integers(1, 100, 300))

    def padded(buckets):
        return sum(b.keep.size for b in batches(sequences, np.zeros(300), batch=10, buckets=buckets))

    assert padded(8) < padded(4) < padded(1) == 300 * max(map(len, sequences))


ONE = [np.ones((2, 3))]


@pytest.mark.parametrize(
    "act, error, message",
    [
        (lambda: pad([]), ValueError, "pad: sequences must hold at least one, but sequences is empty. Give"),
        (lambda: pad([[1], [1, 2]], 1), ValueError, r"but sequences\[1\] has 2 steps and length is 1. Use a greater"),
        (lambda: pad([1, 2]), TypeError, r"with time leading, but sequences\[0\] is int64\[\]. Give each a time axis"),
        (lambda: pad([["a"]]), TypeError, r"numeric arrays with time leading, but sequences\[0\] is <U1\[1\]"),
        (
            lambda: pad([*ONE, np.ones((2, 4))]),
            ValueError,
            r"agree in their features, but sequences\[1\] has \[4\] a step and an earlier one \[3\]. Make",
        ),
        (lambda: keep([1, 4], 3), ValueError, r"lengths must be from 0 to T = 3, but lengths\[1\] is 4. Use"),
        (lambda: keep([-1], 3), ValueError, r"lengths must be from 0 to T = 3, but lengths\[0\] is -1"),
        (lambda: batches([], [], batch=1), ValueError, "batches: sequences must hold at least one"),
        (lambda: batches(ONE, [0, 1], batch=1), ValueError, "but targets holds 2 for 1 sequences. Give one for each"),
        (lambda: batches(ONE, [[1, 2, 3]], batch=1), ValueError, r"targets\[0\] has 3 steps and sequences\[0\] has 2"),
        (lambda: batches(ONE * 2, [[1, 2], 3], batch=1), TypeError, r"batches: targets must .* targets\[1\] is int64"),
        (lambda: batches(ONE, [0], batch=0), ValueError, "batches: batch must be at least 1, but batch is 0"),
        (lambda: batches(ONE, [0], batch=1, buckets=0), ValueError, "buckets must be at least 1, but buckets is 0"),
        (lambda: batches(ONE, [0], batch=1, seed=-1), ValueError, "seed must be at least 0, but seed is -1"),
        (lambda: batches(ONE, [0], batch=1, epoch=-1), ValueError, "epoch must be at least 0, but epoch is -1"),
    ],
)
def test_batch_errors(act, error, message):
    with pytest.raises(error, match=message):
        act()
