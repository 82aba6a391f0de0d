"""Colours and the width of a figure."""

# Okabe and Ito's colours, distinct with any colour vision; without yellow, which is too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, FAINT = "#1a1a1a", "#6b6b6b"
WIDTH = 6.4  # inches; narrow, so that the words stay legible on a phone
