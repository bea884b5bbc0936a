"""The form that creates and changes a schedule."""
