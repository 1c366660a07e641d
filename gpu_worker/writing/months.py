"""The names of the months, by which a small number is known as a day of a date. Pure data."""

from __future__ import annotations

MONTHS = {
    language: frozenset(names.split())
    for language, names in {
        "da": "januar februar marts april maj juni juli august september oktober november december",
        "de": "januar jänner februar märz april mai juni juli august september oktober november "
        "dezember",
        "en": "january february march april may june july august september october november "
        "december",
        "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
        "diciembre",
        "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre "
        "décembre",
        "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre "
        "novembre dicembre",
        "nl": "januari februari maart april mei juni juli augustus september oktober november "
        "december",
        "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
        "dezembro",
    }.items()
}
# What stands between the day and the month: the third of May, tres de mayo.
BETWEEN = {"en": "of", "es": "de", "pt": "de"}
LAST_DAY = 31
