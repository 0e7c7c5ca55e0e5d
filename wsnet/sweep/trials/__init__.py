"""A trial in its process: what it knows, how it trains, and how it fails."""
