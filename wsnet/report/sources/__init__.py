"""Where results come from: folders, MLflow, bundles, and files of other tools."""
