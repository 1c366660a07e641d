"""Find where a transcript may be wrong: signs of doubt, their thresholds, and the review list.

Pure: it reads what the stages know anyway, and nothing of audio, models or jobs.
"""
