"""Tuning: candidates, measurement in child processes, and the database that remembers."""
