"""Audio: decoded in a child process, as samples, where speech is, and where it is cut."""
