"""What a network is: rules, units, patches, layers and laws of weights, as values.  Imports NumPy alone; nothing runs here."""
