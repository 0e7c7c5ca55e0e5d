"""From the settings of a sweep file to trials with identities, sizes and estimated times."""
