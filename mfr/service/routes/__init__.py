"""The routes of the service, a module a noun."""
