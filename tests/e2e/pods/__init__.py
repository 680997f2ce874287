"""The pods of an overlay, run without Kubernetes, laid out as it lays them out."""
