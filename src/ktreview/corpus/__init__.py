"""A dump of abstracts and the records on it become a `Review`."""
