"""Where models come from (the hub, wheels), and what they can do."""
