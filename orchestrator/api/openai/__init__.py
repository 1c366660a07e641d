"""The routes of OpenAI's audio API: their requests to jobs, our transcripts to their replies."""
