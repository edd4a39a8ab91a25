"""Bridges to other tensor software."""
