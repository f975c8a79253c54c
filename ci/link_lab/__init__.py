"""The parts of ci/link-lab."""
