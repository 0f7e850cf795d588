"""What is remembered, and the only place that speaks SQL. `store` is the contract, `sqlite` the one-machine store."""
