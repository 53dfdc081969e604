"""What a node must have: pure rules from what was seen to findings with their fix."""
