"""Tests of the whole pipeline. A package, so that the installation that its files share ends with the last of them."""
