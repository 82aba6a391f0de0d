"""Laws that go beyond the paper, one file for each, found by its name `CLAIM`; they are checked as the paper's claims are."""
