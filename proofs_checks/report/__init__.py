"""A verification in a terminal, as an HTML page and as files: shows results and computes none."""
