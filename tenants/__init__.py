"""Who owns what and who sees what."""
