"""From a sweep file to a checked sweep, with every mistake found at once."""
