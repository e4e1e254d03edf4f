"""The web page: jobs for people, at ``/`` of the server. Works without JavaScript; with it, it is
live.
"""

from checkback.api.dashboard.routes import Dashboard, build_routes

__all__ = ["Dashboard", "build_routes"]
