"""The form that opens an incident by hand."""
