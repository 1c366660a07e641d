"""From the audio of a chunk to lines of text with timed words."""
