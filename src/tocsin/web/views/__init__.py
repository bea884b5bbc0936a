"""What the pages say, as pure functions of what the services answered: words, geometry, view models. No I/O."""
