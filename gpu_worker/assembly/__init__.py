"""From the texts of chunks to one transcript with speakers, and to the formats people read."""
