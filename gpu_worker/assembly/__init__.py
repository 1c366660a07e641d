"""Make one transcript with speakers from the texts of chunks, and write it in many formats."""
