"""What a network is: rules, units, patches, layers and laws of weights, as values.  Nothing runs; imports checks and seeds."""
