"""What the services say to each other: pure values, no input or output.

`envelope` wraps every message, `registry` knows every message that exists, and one
module per service and version holds the messages themselves.
"""
