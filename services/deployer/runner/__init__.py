"""The runner: a process of its own that carries out one build and reports it over HTTP.

It trusts nobody's memory but its own: it buffers what it has to say on disk, says it again until it
is heard, and stops Terraform by itself when nobody has listened for too long.
"""
