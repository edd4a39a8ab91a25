"""Intermediate representations: element types, integer algebra, tensor programs, loop nests."""
