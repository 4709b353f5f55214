"""What is taken away: the review as data."""
