"""Schedules: each class of definition, its analytical choice, its space, and its loop nests."""
