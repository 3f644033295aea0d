"""Queue port: broker, signed context."""
