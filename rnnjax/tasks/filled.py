"""Gaps filled by a network, to read."""

import numpy as np

import rnnjax
from rnnjax.data import Vocabulary, pad

GAP = " [ ] "
LIKELIEST, EXAMPLES, AROUND, LONG = 5, 6, 9, 4


def filled(network, params, vocabulary: Vocabulary, test, sentence: str, window: int) -> str:
    """The likeliest words for the gap of a `sentence` as "at [ ] belly fat", and for words of the `test` text.

    The network sees the sentence, and of the test text `window` words; some of them are shown. Words that are written
    with fewer than four letters, as "the", are not asked for.
    """
    before, after = map(vocabulary.encode, sentence.split(GAP))
    given, gap = np.concatenate([before, [0], after])[:window], min(len(before), window - 1)
    middle = window // 2
    long = [i for i in range(middle, len(test) - window) if len(vocabulary.symbols[test[i]]) >= LONG and test[i]]
    places = long[:: max(1, len(long) // EXAMPLES)][:EXAMPLES]
    xs, lengths = pad([given] + [test[i - middle : i - middle + window] for i in places], window)
    _, logits = rnnjax.apply(network, params, xs.T, lengths=lengths)
    at = np.array([gap] + [middle] * len(places))
    logits = np.array(logits)[np.arange(len(at)), at]
    logits[:, 0] = -np.inf
    shown = [row[:length] for row, length in zip(xs.T, lengths)]
    lines = [said(vocabulary, row, gap if i == 0 else middle, i > 0) for i, row in enumerate(shown)]
    likeliest = [[vocabulary.symbols[k] for k in (-row).argsort()[:LIKELIEST]] for row in logits]
    return "\n\n".join(f"{line}\n  {', '.join(map(repr, words))}" for line, words in zip(lines, likeliest))


def said(vocabulary, ids, gap, known):
    """Words around a gap, with the right one in it where it is known."""
    left = vocabulary.decode(ids[max(0, gap - AROUND) : gap]).replace("\n", " ")
    right = vocabulary.decode(ids[gap + 1 : gap + 1 + AROUND]).replace("\n", " ")
    word = vocabulary.symbols[ids[gap]] if known else " "
    return f"{left} «{word}» {right}".strip()
