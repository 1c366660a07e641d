"""How fast: ours and its peers on the same real speech, in turns, with their word error rates."""
