"""Dead letters and late events as work: read, told apart, sent again, left."""
