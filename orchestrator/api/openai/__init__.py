"""The routes of OpenAI's audio API: requests become jobs, transcripts become OpenAI's replies."""
