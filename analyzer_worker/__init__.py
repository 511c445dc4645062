"""From an incident to an analysis: rules at once, a model's checked answer when one is configured."""
