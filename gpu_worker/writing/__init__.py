"""Write a transcript as people want it: replaced phrases, numbers in digits or words, masked words.

Pure, after alignment: what was said is known by then, with its times. Each change is an edit of a
segment's text; words take the new text over with the times of the sound that it stands for.
"""
