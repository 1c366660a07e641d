"""Compare models on labelled recordings, and on recordings that several have transcribed.

variants.py      what is compared: options of jobs, and a worker's engine
transcribing.py  a labelled set, transcribed by a variant on a cluster of its own
scoring.py       words, speakers and times, counted in child processes
report.py        figures by file and in all, and which side is better; pure
tables.py        a report as text; pure
"""
