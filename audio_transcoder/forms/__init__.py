"""What people send us, by page."""
