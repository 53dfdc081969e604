"""Letting people in: passwords, second factor, sessions, throttling. Who they are is for people."""
