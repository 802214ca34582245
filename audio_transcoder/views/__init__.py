"""The pages: each writes rows and nudges, or reads rows. No view calls an engine."""
