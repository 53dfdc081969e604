"""Signing in: passwords, second factor, sessions, throttling. Users are for people."""
