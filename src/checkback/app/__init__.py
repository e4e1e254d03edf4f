"""The composition root, which knows every part.

``connect`` makes what a client process needs, ``serve`` the server, ``worker`` a worker; ``daemon``
starts a server in the background. Nothing is imported here: the shell's commands pay only for what
they use.
"""
