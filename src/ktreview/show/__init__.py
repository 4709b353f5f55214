"""What is seen of a `Review`: figures, tables and HTML."""
