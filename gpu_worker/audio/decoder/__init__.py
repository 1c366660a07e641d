"""The program that decodes media: it runs in a child process with limits."""
