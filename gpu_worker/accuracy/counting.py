"""Count the word errors of texts, after the usual normaliser.

    python -m gpu_worker.accuracy.counting < PAIRS

prints, for a JSON list of [reference, heard, language], a list of [words, errors]. The control
plane asks so, as it loads no model library. Needs transformers and the extra `bench`.
"""

from __future__ import annotations

import json
import sys

import jiwer

from gpu_worker.accuracy.normaliser import normalised
from gpu_worker.accuracy.word_error import WordError


def word_error(reference: str, heard: str, language: str) -> WordError:
    """Count the normalised words of the reference, and substitutions, deletions and insertions."""
    said, found = normalised(reference, language), normalised(heard, language)
    words = len(said.split())
    if not said or not found:  # jiwer takes no empty reference
        return WordError(words, words + len(found.split()))
    result = jiwer.process_words(said, found)
    return WordError(words, result.substitutions + result.deletions + result.insertions)


def main() -> None:
    """Answer the pairs on standard input."""
    counted = [word_error(*pair) for pair in json.load(sys.stdin)]
    print(json.dumps([[error.words, error.errors] for error in counted]))


if __name__ == "__main__":
    main()
