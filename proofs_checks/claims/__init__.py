"""One file for each claim of the paper, found by its name `CLAIM`; what several share is in ``proofs_checks.studies``."""
