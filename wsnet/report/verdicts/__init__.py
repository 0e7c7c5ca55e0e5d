"""Statistics of few seeds, and the verdicts on declared comparisons."""
