"""pico's tokenizer: byte-level BPE over its vocabulary, then Whisper's special tokens.

Each known word is one token. Order and names of the special tokens are
Whisper's, because faster-whisper asks for every one of them by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.speech import vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MOST_TEXT_TOKENS = 700  # 256 bytes and the merges; they end when each word is one token
TIMESTAMPS = 1501  # every 20 ms from 0 to 30 s
END, START = "<|endoftext|>", "<|startoftranscript|>"
TRANSCRIBE, NO_SPEECH = "<|transcribe|>", "<|nospeech|>"
NO_TIMESTAMPS = "<|notimestamps|>"
UNUSED_BYTE = "Ā"  # how byte-level BPE writes byte 0, which no text has


def special_tokens() -> list[str]:
    """Whisper's special tokens for pico's languages."""
    languages = [f"<|{language}|>" for language in vocabulary()]
    tasks = ["<|translate|>", TRANSCRIBE, "<|startoflm|>", "<|startofprev|>"]
    return [END, START, *languages, *tasks, NO_SPEECH, NO_TIMESTAMPS]


def build_tokenizer() -> Tokenizer:
    """Learn the merges from the vocabulary and add what Whisper needs.

    Raises SystemExit if a word of the vocabulary is more than one token.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MOST_TEXT_TOKENS,
        min_frequency=1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = [" " + word for section in vocabulary().values() for word in section]
    tokenizer.train_from_iterator(words, trainer)
    split = [word for word in words if len(tokenizer.encode(word).ids) > 1]
    if split:
        raise SystemExit(f"more than one token:{''.join(split)}; raise MOST_TEXT_TOKENS")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special_tokens()])
    times = (f"<|{step * 0.02:.2f}|>" for step in range(TIMESTAMPS))
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in times])
    return tokenizer


def token_id(tokenizer: Tokenizer, name: str) -> int:
    """The number of a special token; raises SystemExit if the tokenizer lacks it."""
    number = tokenizer.token_to_id(name)
    if number is None:
        raise SystemExit(f"the tokenizer has no {name}; build it with scripts/pico/tokenizer.py")
    return number


def ctranslate2_vocabulary(tokenizer: Tokenizer) -> list[str]:
    """The tokens in order, as CTranslate2 wants them.

    CTranslate2 takes a model for a multilingual one only if there is an empty
    token, and writes nonsense otherwise; an unused byte gives its place.
    """
    known = tokenizer.get_vocab(with_added_tokens=True)
    names = sorted(known, key=lambda name: known[name])
    return ["" if name == UNUSED_BYTE else name for name in names]
