"""A made-up world, so that the first start is not an empty screen. Everything in it says Demo."""
