"""How large a deployment has to be: arithmetic on what an event was measured to cost."""
