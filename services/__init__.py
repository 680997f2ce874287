"""The five services, which never import each other."""
