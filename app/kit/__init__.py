"""What all slices share and no slice owns: ids, errors, transactions, GraphQL marks."""
