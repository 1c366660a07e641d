"""A model's tokens and languages, and the tokenizer for the options of a job."""

from __future__ import annotations

from dataclasses import dataclass

import tokenizers
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer

from gpu_worker.errors import InvalidOption
from gpu_worker.models.capabilities import check_english_only
from gpu_worker.transcription.engines import DecodeOptions
from gpu_worker.transcription.engines.attempts import check_tokens


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a model can read and write."""

    model: str  # the name, for messages
    tokens: tokenizers.Tokenizer
    size: int  # the model's token ids are 0 to one less
    is_multilingual: bool

    @property
    def languages(self) -> frozenset[str]:
        """The codes of the languages that the model knows."""
        return frozenset(code for code in _LANGUAGE_CODES if self.language_token(code) is not None)

    def language_token(self, code: str) -> int | None:
        """Return the token that stands for a language, or None."""
        token: int | None = self.tokens.token_to_id(f"<|{code}|>")
        return token

    def tokenizer(self, options: DecodeOptions) -> Tokenizer:
        """Return the tokenizer for a language and a task. Raises InvalidOption."""
        check_tokens(options, self.size)
        language = options.language or "en"
        if not self.is_multilingual:
            check_english_only(self.model, options.language, options.task)
        if self.is_multilingual and self.language_token(language) is None:
            known = ", ".join(sorted(self.languages))
            raise InvalidOption(f"Model {self.model!r} has no language {language!r}, only {known}.")
        return Tokenizer(self.tokens, self.is_multilingual, task=options.task, language=language)
