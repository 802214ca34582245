"""The library: what a page lists, what is ticked in it, and much of it as one archive."""
