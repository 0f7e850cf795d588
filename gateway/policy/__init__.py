"""What may go to a bank and what waits for a person: rules over payments, pure, the same here and in the simulation."""
