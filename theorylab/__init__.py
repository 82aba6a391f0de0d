"""A laboratory that tests the theory of backpropagation-based visualizations and tells the truth about it."""
