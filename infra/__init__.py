"""The outside world behind ports; imports nothing of app or tenants."""
