"""The commands, one a file: each parses its options, calls one function and shows what it found.

Everything heavy is imported inside the commands, so that ``theorylab --help`` answers at once.
"""
