"""Turn the audio of a chunk into lines of text with timed words."""
