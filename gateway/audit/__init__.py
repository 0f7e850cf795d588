"""What was decided and done, by whom, from where and with what proof: written down for good."""
