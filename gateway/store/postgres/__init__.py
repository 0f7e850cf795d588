"""The store on PostgreSQL: many processes, also on many machines, over one database."""
