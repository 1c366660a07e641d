"""Tell by the word before a number whether the number is a part of a name: `error 404`. Pure.

English style guides write such a number in digits: Chicago Manual of Style, chapter 9 (pages,
chapters, figures, highways), AP Stylebook, "numerals" (flights, models, rooms, routes).
"""

from __future__ import annotations

import regex

from gpu_worker.writing.months import MONTHS

# By language: words behind which a number says which one of them is meant, and seldom how many.
_NUMBERED = {
    language: frozenset(words.split())
    for language, words in {
        "da": "afsnit fejl figur kanal kapitel kode linje model nummer side sider version værelse",
        "de": "abbildung abschnitt code fehler fehlercode flug gleis kanal kapitel linie modell "
        "nummer raum seite seiten version zeile zimmer",
        "en": "appendix channel channels chapter chapters code codes episode episodes error errors "
        "extension figure figures flight flights gate highway interstate line lines model models "
        "number numbers page pages paragraph paragraphs platform room rooms route routes section "
        "sections step steps terminal version versions volume volumes",
        "es": "capítulo código error figura habitación línea modelo número página páginas sección "
        "versión vuelo",
        "fr": "chambre chapitre code erreur figure ligne modèle numéro page pages section version "
        "vol",
        "it": "camera capitolo codice errore figura linea modello numero pagina pagine sezione "
        "versione volo",
        "nl": "bladzijde code figuur fout hoofdstuk kamer lijn model nummer pagina regel versie "
        "vlucht",
        "pt": "capítulo código erro figura linha modelo número página páginas secção seção versão "
        "voo",
    }.items()
}
_INNER_CAPITAL = regex.compile(r"\p{Ll}\p{Lu}")  # iPhone


def is_numbered_name(word: str, language: str, *, begins_sentence: bool) -> bool:
    """Tell whether a number right behind a word is a part of its name: `iPhone 15`, `a Boeing 747`.

    `begins_sentence`: the word begins one, so that its capital letter says nothing.
    """
    folded = word.casefold()
    if folded in _NUMBERED[language] or _INNER_CAPITAL.search(word):
        return True
    if language == "de" or folded in MONTHS[language]:  # German nouns all have capitals
        return False
    return word[:1].isupper() and not begins_sentence
