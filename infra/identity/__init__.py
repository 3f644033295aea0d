"""Identity port: verifier and directory."""
