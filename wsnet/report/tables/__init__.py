"""Tables: cells of settings, and what they are written as."""
