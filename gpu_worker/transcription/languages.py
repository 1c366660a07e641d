"""The languages of Whisper: read the many ways to write one, and detect that of windows.

A language is known by its code, by its English name, by the other names that openai/whisper
takes (`tokenizer.py`, LANGUAGES and TO_LANGUAGE_CODE), and by a tag with a script or a
region, such as `en-US` (BCP 47) or `pt_BR.UTF-8` (POSIX). Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches

from gpu_worker.audio.samples import Audio
from gpu_worker.errors import InvalidOption
from gpu_worker.transcription.engines import Engine
from gpu_worker.transcription.language_runs import LanguageChoice

_NAMES = """
en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese,
pt portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian,
id indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay,
cs czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian, th thai, ur urdu,
hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak,
te telugu, fa persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian,
kn kannada, et estonian, mk macedonian, br breton, eu basque, is icelandic, hy armenian,
ne nepali, mn mongolian, bs bosnian, kk kazakh, sq albanian, sw swahili, gl galician, mr marathi,
pa punjabi, si sinhala, km khmer, sn shona, yo yoruba, so somali, af afrikaans, oc occitan,
ka georgian, be belarusian, tg tajik, sd sindhi, gu gujarati, am amharic, yi yiddish, lo lao,
uz uzbek, fo faroese, ht haitian creole, ps pashto, tk turkmen, nn nynorsk, mt maltese,
sa sanskrit, lb luxembourgish, my myanmar, bo tibetan, tl tagalog, mg malagasy, as assamese,
tt tatar, haw hawaiian, ln lingala, ha hausa, ba bashkir, jw javanese, su sundanese, yue cantonese
"""
LANGUAGES: dict[str, str] = {
    item.split()[0]: item.split(maxsplit=1)[1].strip() for item in _NAMES.split(",")
}
# Other names, and other codes of the same language in ISO 639 and in old tags.
_OTHERS = """
my burmese, ca valencian, nl flemish, ht haitian, lb letzeburgesch, ps pushto, pa panjabi,
ro moldavian, ro moldovan, si sinhalese, es castilian, zh mandarin, fa farsi, no nb, no bokmal,
zh cmn, tl fil, tl filipino, jw jv, he iw, yi ji, id in, ro mo
"""
_CODES = {name: code for code, name in LANGUAGES.items()} | {
    item.split()[1]: item.split()[0] for item in _OTHERS.split(",")
}
ANY_LANGUAGE = ("any",)  # instead of a list of languages
TRANSLATED = "en"  # the language of every translation
DETECT = frozenset({"auto", "detect"})  # instead of a language: find out which one is spoken
_NOT_KNOWN = {"language": "auto", "languages": "any alone"}  # by option: what leaves it open
_TAG = re.compile(r"([a-z]{2,3})((?:-[a-z0-9]{1,8})*)")
_CODE = re.compile(r"[a-z]{2,3}")
SHOWN_CHARACTERS = 40  # characters of a text that is no language, in the message about it


def language_code(text: str, option: str = "language") -> str | None:
    """Return the code of a language that is written in any way; None: it is to be detected.

    Two or three letters that are no language's code are returned as they are: `check_language`
    refuses them, but a job that was accepted earlier can be read. Raises ValueError, with a
    sentence for people and for that option, for every other text that is no language.
    """
    plain = text.strip().lower()
    if plain in DETECT:
        return None
    name = re.sub(r"[\s_-]+", " ", plain)
    if name in _CODES:
        return _CODES[name]
    tag = _TAG.fullmatch(re.split("[.@]", plain)[0].replace("_", "-"))
    if tag is None:
        raise ValueError(_no_language(text, option))
    code: str = tag[1]
    further = [part for part in tag[2].split("-")[1:2] if len(part) == 3]
    for part in (*further, code):  # zh-yue is Cantonese: a second part may be a language too
        found = _CODES.get(part, part)
        if found in LANGUAGES:
            return found
    if _CODE.fullmatch(plain):
        return plain
    raise ValueError(_no_language(text, option))


def language_codes(languages: object) -> object:
    """Return the codes of several languages, sorted, each once; ANY_LANGUAGE for the word `any`.

    They are written in any way, as a list or as one text with commas; what is neither is returned
    as it is. Raises ValueError, with a sentence for people, for a text that is no language.
    """
    names = _several(languages)
    if names is None:
        return languages
    if [name.strip().lower() for name in names] == [*ANY_LANGUAGE]:
        return ANY_LANGUAGE
    codes = {language_code(name, "languages") for name in names}
    if codes & {None, *ANY_LANGUAGE}:
        raise ValueError("any and auto are none of several languages; write any alone for all")
    return tuple(sorted(code for code in codes if code is not None))


def language_choice(languages: tuple[str, ...] | None, prior: str | None) -> LanguageChoice | None:
    """Return the languages to choose from, of codes or ANY_LANGUAGE; None without any."""
    if languages is None:
        return None
    return LanguageChoice(() if languages == ANY_LANGUAGE else languages, prior)


def only_language(languages: object) -> str | None:
    """Return the language of a list of one, as it is written; None for every other list.

    None for `any` too, and for what is no language: the error is of the list.
    """
    names = _several(languages) or []
    with suppress(ValueError):
        if len(names) == 1 and language_code(names[0]) in (None, *LANGUAGES):
            return names[0]
    return None


def _several(languages: object) -> list[str] | None:
    items = languages.split(",") if isinstance(languages, str) else languages
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        return None
    return [item for item in items if item.strip()]


def written_language(task: str, spoken: str | None) -> str | None:
    """Return the language of the text of speech in that language: of a translation English."""
    return TRANSLATED if task == "translate" else spoken


def check_language(code: str | None, option: str = "language") -> None:
    """Raise InvalidOption, which names the option, for a code that no language of Whisper has."""
    if code is not None and code not in LANGUAGES:
        raise InvalidOption(
            f"Options are not valid: {option}: {_no_language(code, option)}.", option=option
        )


def _no_language(text: str, option: str) -> str:
    """Return the message for a text that is no language; it names languages that are close.

    `option`: where it was given, `language` or `languages`.
    """
    plain = text.strip().lower()[:SHOWN_CHARACTERS]  # comparing takes its time
    known = {**{code: code for code in LANGUAGES}, **_CODES}
    near = [name for name in _CODES if len(plain) > 2 and name.startswith(plain)]
    near += get_close_matches(plain, known, n=3, cutoff=0.7)
    codes = dict.fromkeys(known[name] for name in near)
    told = f"{text[:SHOWN_CHARACTERS]!r} is not a language that Whisper knows"
    if codes:
        return f"{told}; close to it: {', '.join(f'{LANGUAGES[code]} ({code})' for code in codes)}"
    names = "a code or an English name, such as es or Spanish"
    return f"{told}; write {names}, or {_NOT_KNOWN[option]}"


def detect_language(engine: Engine, windows: Sequence[Audio]) -> str | None:
    """Return the code of the language of most windows, or None if there are no windows.

    Of two languages with as many windows, return the one with the higher sum of probabilities.
    """
    if not windows:
        return None
    votes: Counter[str] = Counter()
    trust: Counter[str] = Counter()
    for found in engine.detect_languages(windows):
        votes[found.language] += 1
        trust[found.language] += found.probability  # type: ignore[assignment]  # Counter adds floats too
    return max(votes, key=lambda language: (votes[language], trust[language]))
