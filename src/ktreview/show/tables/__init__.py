"""Tables, one function a table, each from a `Review` to a frame and its HTML."""
