"""How good an analyzer is, measured on labelled cases; pure but for the model that it may ask."""
