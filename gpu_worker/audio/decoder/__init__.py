"""The program that decodes media. It runs in a child process with limits."""
