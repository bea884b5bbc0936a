"""Demo data, so that the first start does not show empty pages. Everything in it is called Demo."""
