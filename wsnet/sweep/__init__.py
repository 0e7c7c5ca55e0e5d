"""From a sweep file to finished trials: plan, schedule through Ray Tune, follow, resume."""
