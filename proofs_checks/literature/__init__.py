"""What others claim of such maps, with an exact law of random networks: one file for each, found by its name `CLAIM`."""
