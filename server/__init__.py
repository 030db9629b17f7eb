"""The servers, how they are started and checked, and the commands of workshop.py."""
