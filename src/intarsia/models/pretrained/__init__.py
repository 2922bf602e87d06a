"""Networks that others have trained, translated into ours: one file per origin, each a checked map from their keys to ours."""
