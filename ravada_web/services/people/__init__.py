"""Users, groups, quotas and operator scopes. Signing in has a room of its own."""
