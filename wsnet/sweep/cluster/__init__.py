"""Ray, its nodes, and what each trial gets of them."""
