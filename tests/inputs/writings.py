"""Sentences in many scripts, with the words that a reader finds in each."""

from __future__ import annotations

from gpu_worker.transcript import Segment, Transcript, Word

# Each line is a segment; its words are set apart by `|`, and a space before one is in the text.
WRITINGS = {
    "numbers": (
        "It| rose| to| $3.5| at| 12:30,| said| AT&T:| 100%| up-to-date.",
        "Dans| l'e-mail| des| U.S.A. ?| « Oui ! »",
    ),
    "chinese": ("今|天|有|记|录。", "「好」，|我|用| iPhone| 拍|了| 3.5%。", "再|见！"),
    "japanese": ("コー|ヒー|を|飲|み|ま|す。", "記|録|を|読|む。"),
    "thai": ("น้ำ|นี่|เป็|น|ที่|นี่", "ส|วั|ส|ดี| ค|รั|บ"),
    "hindi": ("मैं| ठीक| हूँ।", "क्या| हिन्दी| में| है?"),
    "arabic": ("مَرْحَبًا،| كيف| حالك؟", "السعر| 3.5| دولار| iPhone."),
    "emoji": ("The| family| 👨‍👩‍👧| waves| 👍🏽!", "🇩🇪| 🇫🇷"),
    "mixed": ("Schreib| an| a@b.com,| «今|天»| um| 9:00.", "Ja| – nein…"),
}


def written(name: str, speaker: str | None = None) -> Transcript:
    """One of the writings as a transcript: half a second a word, the lines one after another."""
    segments: list[Segment] = []
    at = 0.0
    for line in WRITINGS[name]:
        words: list[Word] = []
        for part in line.split("|"):
            words.append(Word(part.strip(), at, at + 0.5, 0.9, speaker))
            at += 0.5
        text = line.replace("|", "")
        segments.append(Segment(words[0].start, at, text, tuple(words), speaker=speaker))
    return Transcript("en", at, tuple(segments))


def unworded(said: Transcript) -> Transcript:
    """The same without the times of its words."""
    segments = tuple(Segment(s.start, s.end, s.text, speaker=s.speaker) for s in said.segments)
    return Transcript(said.language, said.duration, segments)
