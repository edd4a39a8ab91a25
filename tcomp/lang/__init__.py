"""The language: text to tensor programs."""
