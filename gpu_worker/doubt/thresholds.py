"""The codes of flags, and from where on a sign is doubtful. All thresholds stand here.

They were chosen with the model `base` on read sentences, with and without noise and echo, none of
which is in the figures of docs/doubt.md. `python -m benchmarks.words.doubt --labelled DIRECTORY`
prints such figures for any recordings.
"""

from __future__ import annotations

# Codes of a segment's flags.
UNLIKELY_WORDS = "unlikely_words"
DOUBTFUL_WORD = "doubtful_word"
REPETITION = "repetition"
TOO_FAST = "too_fast"
MOSTLY_SILENCE = "mostly_silence"
NO_SPEAKER = "no_speaker"
ODD_SCRIPT = "odd_script"
NOT_PLACED = "not_placed"
UNSTABLE = "unstable"
STOCK_PHRASE = "stock_phrase"
DECODED_AGAIN = "decoded_again"
# Of a span without text.
NO_TEXT = "no_text"
LEFT_OUT = "left_out"
MISSING = "missing"

# A word of score p is wrong with the probability 1 / (1 + (p / (1 - p)) ** SLOPE * e ** INTERCEPT):
# a logistic regression on 2,270 words of `base`, 376 of them wrong. Scores alone ranked words
# better than with neighbours, lengths and the window's figures, in linear models and in trees.
SCORE_INTERCEPT, SCORE_SLOPE = 0.22, 0.75
NOTED_DOUBT = 0.2  # of a word, to stand in the transcript
RIGHT_DOUBT = 0.06  # the mean of the words without a note
# A segment gets UNLIKELY_WORDS if its words are wrong with this mean probability. There such
# segments had 17 % of the words, 45 % of the wrong ones, and none was without an error.
UNLIKELY_MEAN = 0.25
# A word is wrong rather than right. Such segments had 25 % of the words of clean recordings and a
# third of their wrong ones, two thirds of which were clean otherwise: so it weighs half.
DOUBTFUL_WORD_DOUBT, DOUBTFUL_WORD_WEIGHT = 0.5, 0.5
# How likely text is wrong that repeats itself; openai/whisper rejects it, too.
REPETITION_DOUBT = 0.9
# Letters a second; the fastest of 183 segments had 26. A character of an unspaced script is a
# syllable or two, of which people say 9 a second at most.
FASTEST_LETTERS, FASTEST_SYLLABLES = 30.0, 12.0
TOO_FAST_DOUBT = 0.7
# Text for whose window the model itself says that there is no speech.
SILENCE_PROBABILITY = 0.6
# Parts of a segment in which no speaker is heard, and words that the aligner could not place.
UNHEARD_SHARE = 0.8
NO_SPEAKER_DOUBT = 0.6
NOT_PLACED_SHARE = 0.5
NOT_PLACED_DOUBT = 0.5
# Letters of a script in which the language is not written.
FOREIGN_SHARE = 0.3
ODD_SCRIPT_DOUBT = 0.7
# A window that failed its thresholds until it was sampled at this temperature.
UNSTABLE_TEMPERATURE = 0.4
UNSTABLE_DOUBT = 0.5
STOCK_PHRASE_DOUBT = 0.6
# A text that was taken instead of the first one: it is better, but the sound is a difficult one.
DECODED_AGAIN_DOUBT = 0.15
# Speech without text: nothing is wrong that can be read, but something is lost.
NO_TEXT_DOUBT = 0.6
MISSING_DOUBT = 1.0
LEFT_OUT_DOUBT = 0.2  # text that was taken for invented, and left out
