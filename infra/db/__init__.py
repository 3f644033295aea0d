"""Database port: addresses, logins, sessions, pools."""
