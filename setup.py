"""The packages; everything else is in setup.cfg, which cannot give one of them another folder."""

from setuptools import find_packages, setup

# The example sweeps are installed as wsnet/sweeps (`wsnet.config.example_sweeps`), and stay in sweeps/ here.
setup(packages=[*find_packages(include=["wsnet*"]), "wsnet.sweeps"], package_dir={"wsnet.sweeps": "sweeps"})
