"""Where models come from (hub, wheels), what they can do, and those a process holds."""
