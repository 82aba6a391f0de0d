"""Results of a verification: their schema, tables, plots and the HTML report."""
