"""Phrases that Whisper models write where nothing is said, as their training data ended so.

Facts that many users report of the large models: thanks of film-makers, and credits of
subtitles. A person may say some of them, so they are a sign and never a reason to drop text.
"""

from __future__ import annotations

from gpu_worker.doubt.repetition import spoken_form

_WHOLE = frozenset(
    {
        "thankyouforwatching",
        "thanksforwatching",
        "thankyousomuchforwatching",
        "pleasesubscribe",
        "likeandsubscribe",
        "seeyouinthenextvideo",
        "seeyounexttime",
        "vielendankfürszuschauen",
        "graciasporverelvideo",
        "mercidavoirregardécettevidéo",
        "obrigadoporassistir",
        "ご視聴ありがとうございました",
        "시청해주셔서감사합니다",
        "谢谢观看",
        "спасибозапросмотр",
        "продолжениеследует",
        "dziękujęzauwagę",
        "altyazımk",
    }
)
_WITHIN = (
    "amaraorg", "subtitlesby", "untertitelungim", "untertitelvon", "soustitresréalisés",
    "sottotitolicreati", "subtítulosrealizados", "legendaspela", "ondertiteldoor",
    "tekstingav", "субтитры", "字幕", "자막",
)  # fmt: skip


def is_stock_phrase(text: str) -> bool:
    """Return whether a line is such a phrase, or names the authors of subtitles."""
    said = spoken_form(text)
    return said in _WHOLE or any(phrase in said for phrase in _WITHIN)
