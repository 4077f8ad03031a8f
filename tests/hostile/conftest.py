"""The fixtures are those of tests/conftest.py."""
