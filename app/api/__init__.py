"""The GraphQL runtime."""
