"""One package a page: `loader` asks the services, `view` decides what is shown, `handlers` bind the two to HTTP."""
