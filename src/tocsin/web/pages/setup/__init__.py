"""The pages that a link opens: to create the first account, and to choose a password."""
