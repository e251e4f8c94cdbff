"""Questions to people: kept on disk, asked here and on the nodes of operators, answered once."""
