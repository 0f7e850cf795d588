"""The store on PostgreSQL (14 or later): many processes, also on many machines, over one database.

A process has one connection that writes, a few that read, and one that hears the feed's doorbell while somebody waits. Between it
and the server there may be a pooler only if it keeps one session a connection (LISTEN, prepared statements, settings).
"""
