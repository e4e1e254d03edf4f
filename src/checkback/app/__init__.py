"""The composition root: settings in, running things out. The only place that knows every part.

``connect`` makes what a client process needs, ``serve`` the server, ``work`` a worker;
``background`` starts a server that nobody started yet. Nothing is imported here: the shell's
commands pay only for what they use.
"""
