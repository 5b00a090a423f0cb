"""The exchange of data under a grant: the dialogue's two sides, what feeds it, and its encryption."""
