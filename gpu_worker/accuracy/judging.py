"""Tell which words of a text are wrong, by its reference. Needs jiwer and transformers."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import jiwer

from gpu_worker.accuracy.normaliser import normalised
from gpu_worker.words import join_texts


def wrong_words(reference: str, words: Sequence[str], language: str) -> list[bool]:
    """Return for each word whether it is substituted or inserted; lost words belong to none.

    Texts are compared after the usual normaliser, which joins and splits words ("nineteen oh
    two" is one number); a word is wrong if a part of what it became is.
    """
    heard = normalised(join_texts(words), language).split()
    said = normalised(reference, language).split()
    wrong = [False] * len(words)
    if not heard:
        return wrong
    if not said:
        return [True] * len(words)
    origins = _origins(heard, words, language)
    for part in jiwer.process_words(" ".join(said), " ".join(heard)).alignments[0]:
        if part.type in ("substitute", "insert"):
            for token in range(part.hyp_start_idx, part.hyp_end_idx):
                for word in origins[token]:
                    wrong[word] = True
    return wrong


def _origins(heard: Sequence[str], words: Sequence[str], language: str) -> list[set[int]]:
    """Return for each normalised token of the whole text the numbers of the words it is from."""
    alone: list[tuple[str, int]] = [
        (token, number)
        for number, word in enumerate(words)
        for token in normalised(word, language).split()
    ]
    origins: list[set[int]] = [set() for _ in heard]
    matcher = SequenceMatcher(None, [token for token, _ in alone], heard, autojunk=False)
    for kind, first, end, begin, stop in matcher.get_opcodes():
        for token in range(begin, stop):
            if kind == "equal":
                origins[token].add(alone[first + token - begin][1])
            else:
                origins[token].update(number for _, number in alone[first:end])
    return origins
