"""What a service does when it hears of an event: one handler each, driven by the declaration.

Each adapter is a module of its own and is imported from there; this package loads none of them,
so an extra is needed only by those who use it.
"""
