"""Which past incidents were like one: by the words of their messages' templates, without a model."""
