"""The people who decide: who they are, what their roles allow, and how they prove that it is them."""
