"""One typed, retrying client per service; the only way to call it."""
