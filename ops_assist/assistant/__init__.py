"""What assistants see of the pipeline, over the Model Context Protocol: they may look, and touch nothing."""
