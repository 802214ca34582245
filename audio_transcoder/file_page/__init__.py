"""What the page of one file says: facts, what happened and will, what its player plays."""
