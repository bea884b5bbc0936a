"""One package a page: `loader` requests data, `view` decides what is shown, `handlers` bind the two to HTTP."""
