"""Read the weights of Whisper models, from CTranslate2's files and from safetensors.

`reading` finds out which of the two a directory holds; `whisper` has what both give.
"""
